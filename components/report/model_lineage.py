"""Where a model came from: feedback rows, table version, dataset, weights, registry version and its aliases."""

from collections.abc import Mapping
from typing import Any

from flywheel.components.contracts.lineage import StepRecord


def model_lineage(registry: str, model_name: str, steps: Mapping[str, StepRecord]) -> dict[str, Any]:
    """Trace the run's candidate.

    Args:
        registry: Registry URI; may not exist.
        model_name: Name of the model in the registry.
        steps: The run's step records by step.

    Returns:
        `model`, `dataset` (digest, candidates table version, rows by source, leaked groups, splits), `weights`
        (digest, base, code version, method), `registry` (version, decision, aliases now, versions, audit trail of the
        run), each None or empty where the run did not come so far; `registry_problem` says why nothing was read.
    """
    dataset = _dataset(steps.get("assemble_dataset"))
    weights = _weights(steps.get("train_model"))
    found, problem = _registry(registry, model_name)
    return {
        "model": model_name,
        "dataset": dataset,
        "weights": weights,
        "registry": _registered(found, weights, steps) if found is not None else None,
        "registry_problem": problem,
    }


def _dataset(record: StepRecord | None) -> dict[str, Any] | None:
    manifest = record.details.get("manifest") if record is not None else None
    if not isinstance(manifest, dict):
        return None
    table = manifest.get("candidates") or {}
    return {
        "digest": manifest.get("digest", ""),
        "table": table.get("table", ""),
        "table_version": table.get("version"),
        "candidates": len(manifest.get("feedback_ids", ())),
        "sources": manifest.get("sources", {}),
        "recipe": manifest.get("recipe", {}),
        "leaked_groups": manifest.get("leaked_groups"),
        "splits": {name: split.get("rows") for name, split in manifest.get("splits", {}).items()},
    }


def _weights(record: StepRecord | None) -> dict[str, Any] | None:
    manifest = record.details.get("manifest") if record is not None else None
    if not isinstance(manifest, dict):
        return None
    names = ("digest", "base_digest", "dataset_digest", "table_version", "code_version", "method", "run_id")
    return {name: manifest.get(name) for name in names}


def _registry(uri: str, model_name: str) -> tuple[dict[str, Any] | None, str]:
    from flywheel.components.registry import overview
    from flywheel.components.registry.errors import NotRegisteredError, RegistryError

    try:
        return overview.show(uri, model_name), ""
    except NotRegisteredError:
        return None, f"it holds no model {model_name} yet"
    except RegistryError as error:  # the report of what did run is worth more than a stop; its text may name paths
        return None, f"it could not be read: {type(error).__name__}"


def _registered(
    model: dict[str, Any], weights: dict[str, Any] | None, steps: Mapping[str, StepRecord]
) -> dict[str, Any]:
    digest = (weights or {}).get("digest")
    run_id = next((record.run_id for record in steps.values()), "")
    ours = [one for one in model["versions"] if digest and one["digest"] == digest]
    kept = ("version", "digest", "created_at", "decision", "aliases", "run_id", "dataset_digest", "code_version")
    trail = ("at", "kind", "who", "reason", "version", "alias", "previous")
    return {
        "version": ours[-1]["version"] if ours else None,
        "aliases": model["aliases"],
        "versions": [{name: one.get(name) for name in kept} for one in model["versions"]],
        "trail": [{name: event.get(name) for name in trail} for event in model["history"] if event["run_id"] == run_id],
    }

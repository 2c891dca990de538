"""Every number of the report, computed once from step records, tables and registry; the page only draws them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson

from flywheel.components.contracts.lineage import StepRecord
from flywheel.components.contracts.tables import TableName, TableReference
from flywheel.components.report.borders import borders
from flywheel.components.report.loop_stations import loop_stations
from flywheel.components.report.model_lineage import model_lineage
from flywheel.components.report.outcome import decide
from flywheel.components.report.replayed import attack as _attack
from flywheel.components.report.replayed import predicted_lines
from flywheel.components.report.satisfaction import satisfaction

_TABLES: tuple[TableName, ...] = ("interactions", "feedback", "candidates", "reviews", "quarantine")
_MOST_LOOKS = 240


def figures(store: str, registry: str, model_name: str, run_id: str) -> dict[str, Any]:
    """Compute the report's figures.

    Args:
        store: Feedback store; may not exist.
        registry: Registry URI; may not exist.
        model_name: Name of the model in the registry.
        run_id: Run.

    Returns:
        JSON values; sections of steps that did not run are None or empty. The same store gives the same figures.

    Raises:
        StoreError: The store cannot be read.
    """
    from flywheel.components.store import delta_table, lineage

    records = lineage.steps(store, run_id)
    steps = {record.step: record for record in records}
    tables = {name: delta_table.latest(store, name) for name in _TABLES if delta_table.exists(store, name)}
    outcome = decide(records)
    users = satisfaction(tables.get("interactions"), tables.get("feedback"), run_id)
    made = {
        "schema": "flywheel.report/v1",
        "run_id": run_id,
        "model": model_name,
        "outcome": asdict(outcome),
        **_times(records),
        "loop": loop_stations(steps, outcome, users["users"]),
        "borders": borders(records),
        "satisfaction": users,
        "intake": _chosen(steps, "intake_feedback", "formats", "pii", "first", "last"),
        "curation": _curation(steps),
        "contracts": [_contract(record) for record in records if record.step.startswith("validate_")],
        "trigger": _chosen(steps, "check_trigger", "have", "need"),
        "training": _training(steps.get("train_model")),
        "verdict": _document(steps, "decide_verdict", "verdict"),
        "attack": _attack(steps.get("attack_models")),
        "prediction": _document(steps, "predict_canary", "prediction"),
        "prediction_check": _document(steps, "check_prediction", "check"),
        "predicted_lines": predicted_lines(steps),
        "canary": _canary(steps),
        "drift": _drift(steps.get("detect_drift")),
        "lineage": model_lineage(registry, model_name, steps),
        "tables": {name: _table(reference) for name, reference in tables.items()},
    }
    clean: dict[str, Any] = orjson.loads(orjson.dumps(made))  # no NaN or infinity gets through
    return clean


def _table(reference: TableReference) -> dict[str, int]:
    from flywheel.components.store import delta_table

    return {"version": reference.version, "rows": delta_table.count(reference)}


def _times(records: Sequence[StepRecord]) -> dict[str, Any]:
    """When the run began and ended, and every step's place in it, seconds."""
    if not records:
        return {"started_at": None, "finished_at": None, "seconds": None, "steps": []}
    first = min(record.started_at for record in records)
    last = max(record.finished_at for record in records)
    return {
        "started_at": first.isoformat(),
        "finished_at": last.isoformat(),
        "seconds": (last - first).total_seconds(),
        "steps": [
            {
                "step": record.step,
                "offset": (record.started_at - first).total_seconds(),
                "seconds": (record.finished_at - record.started_at).total_seconds(),
                "outcome": record.outcome,
            }
            for record in records
        ],
    }


def _details(steps: Mapping[str, StepRecord], step: str) -> dict[str, Any]:
    return steps[step].details if step in steps else {}


def _document(steps: Mapping[str, StepRecord], step: str, key: str) -> dict[str, Any] | None:
    found = _details(steps, step).get(key)
    return found if isinstance(found, dict) else None


def _chosen(steps: Mapping[str, StepRecord], step: str, *names: str) -> dict[str, Any] | None:
    details = _details(steps, step)
    found = {name: details[name] for name in names if name in details}
    return found or None


def _curation(steps: Mapping[str, StepRecord]) -> dict[str, Any]:
    routed, grouped = _details(steps, "route_candidates"), _details(steps, "cluster_feedback")
    calibration = _details(steps, "classify_corrections").get("calibration") or {}
    return {
        "duplicates": _chosen(steps, "deduplicate_feedback", "exact", "near", "groups"),
        "categories": _details(steps, "classify_corrections").get("categories", {}),
        "accuracy": calibration.get("accuracy"),
        "routes": routed.get("routes", {}),
        "reasons": routed.get("reasons", {}),
        "error_rate": routed.get("error_rate", ""),
        "clusters": grouped.get("clusters", []),
        "error_types": grouped.get("error_types", {}),
        "pairs": _details(steps, "mine_preferences").get("evidence", {}),
    }


def _contract(record: StepRecord) -> dict[str, Any]:
    details = record.details
    return {
        "step": record.step,
        "outcome": record.outcome,
        "suite": details.get("suite", ""),
        "expectations": details.get("expectations"),
        "rows": details.get("rows", {}),
        "failed": details.get("failed", []),
        "warnings": details.get("warnings", []),
    }


def _training(record: StepRecord | None) -> dict[str, Any] | None:
    if record is None:
        return None
    manifest = record.details.get("manifest") or {}
    return {
        "outcome": record.outcome,
        "loss": record.details.get("loss", []),
        "tokens_per_second": record.details.get("tokens_per_second"),
        "metrics": record.metrics,
        "method": manifest.get("method", ""),
        "config": manifest.get("config", {}),
        "notes": record.details.get("notes", []),
    }


def _canary(steps: Mapping[str, StepRecord]) -> dict[str, Any] | None:
    state = _document(steps, "run_canary", "rollout")
    if state is None:
        return None
    looks = state.get("looks", [])
    metrics = steps["run_canary"].metrics
    return {
        **{name: state.get(name) for name in ("service", "decision", "reasons", "error_rate", "shares")},
        "looks": _thinned(looks),
        "looks_taken": len(looks),
        "timeline": _details(steps, "run_canary").get("timeline", []),
        "plan": _details(steps, "run_canary").get("plan", []),
        "users": metrics.get("users"),
        "requests": metrics.get("requests"),
        "seconds": metrics.get("seconds"),
    }


def _thinned(looks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """At most `_MOST_LOOKS` quiet looks; those that did something and the last one always stay."""
    every = max(1, -(-len(looks) // _MOST_LOOKS))
    last = len(looks) - 1
    return [
        look for place, look in enumerate(looks) if place % every == 0 or place == last or look.get("action") != "hold"
    ]


def _drift(record: StepRecord | None) -> dict[str, Any] | None:
    if record is None:
        return None
    details = record.details
    found = details.get("drift") or {}
    names = ("reasons", "alpha", "error_rate", "windows", "tests", "prompts", "numbers", "total_variation")
    return {
        "outcome": record.outcome,
        **{name: found.get(name) for name in names},
        "quality": details.get("quality", []),
        "topics": details.get("topics", []),
        "alerts": details.get("alerts", []),
    }

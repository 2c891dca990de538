"""Put model folders into the registry: the first production, and candidates with their verdict."""

from pathlib import Path

from flywheel.components.contracts.model import ModelManifest
from flywheel.components.contracts.verdict import Verdict
from flywheel.components.registry.errors import NotRegisteredError, RegistryError
from flywheel.components.registry.records import Alias, AliasMove, Event, ModelVersion, NewVersion
from flywheel.components.registry.registry import Registry


def describe_folder(folder: str | Path, trained_here: bool = False) -> ModelManifest:
    """Return the manifest of a model folder; its identity is always computed from the bytes, never believed.

    Args:
        folder: Model folder; one without `model.json` (not ours) has no lineage.
        trained_here: Whether `model.json` must name exactly these bytes.

    Raises:
        FileNotFoundError: The folder is missing or holds no safetensors weights.
        ValueError: `model.json` is not a valid manifest.
        RegistryError: `model.json` names other bytes and `trained_here` is set.
    """
    from flywheel.components.training.weights import model_digest

    path = Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(f"no model folder at {path}")
    digest = model_digest(path)
    if (path / "model.json").is_file():
        manifest = ModelManifest.read(path / "model.json")
        if trained_here and manifest.digest != digest:
            raise RegistryError(
                f"{path} was changed after training: model.json says {manifest.digest[:12]}, the files are "
                f"{digest[:12]}; train again or restore the folder"
            )
        return manifest.model_copy(update={"digest": digest})
    return ModelManifest(
        digest=digest,
        base_digest="",
        dataset_digest="",
        code_version="",
        run_id="",
        method="",
        config={},
        metrics={},
    )


def register_candidate(
    registry: Registry, name: str, folder: str | Path, uri: str, verdict: Verdict | None, run_id: str, who: str
) -> ModelVersion:
    """Register a trained model with its verdict and point the alias `candidate` to it.

    Args:
        registry: The registry.
        name: Model name.
        folder: Model folder on this machine, with `model.json`.
        uri: Where the model stays; the same folder or its object-store URI.
        verdict: Verdict on exactly these weights; None registers without one (such a version cannot be promoted).
        run_id: Run that registers.
        who: Step or person.

    Returns:
        The version.

    Raises:
        RegistryError: The folder was changed after training, the verdict is about other weights, or the lineage
            conflicts with what is registered.
        FileNotFoundError: There is no model.
        ValueError: `model.json` is not valid.
    """
    manifest = describe_folder(folder, trained_here=True)
    if verdict is not None and verdict.candidate_digest != manifest.digest:
        raise RegistryError(
            f"the verdict of run {verdict.run_id} is about weights {verdict.candidate_digest[:12]}, but {folder} holds "
            f"{manifest.digest[:12]}; evaluate this model again"
        )
    version = registry.register(_new(name, uri, manifest, verdict, run_id), who)
    present = registry.get_alias(name, Alias.CANDIDATE)
    if present != version.version:
        move = AliasMove(alias=Alias.CANDIDATE, version=version.version, expected=present)
        reason = f"trained by run {run_id}" + (f", verdict {verdict.decision}" if verdict else "")
        registry.set_alias(name, [move], who, reason, version.evidence, run_id)
    return version


def resolve_production(registry: Registry, name: str, folder: str, run_id: str, who: str) -> ModelVersion:
    """Return the version that serves now; on first use the given folder becomes version 1 and production.

    The same run always gets the same answer, also when it is retried after it has moved the alias itself.

    Args:
        registry: The registry.
        name: Model name.
        folder: Model folder the caller believes to be production; empty: whatever the registry says.
        run_id: Run that asks.
        who: Step or person.

    Returns:
        The version; its `uri` is where the model is.

    Raises:
        NotRegisteredError: No folder was given and the registry has no production.
        RegistryError: The folder is another model than the registry's production.
        FileNotFoundError: There is no model folder.
    """
    for event in registry.history(name):
        if event.kind == "resolved" and event.run_id == run_id and event.version is not None:
            earlier = registry.get(name, event.version)
            if not folder or describe_folder(folder).digest == earlier.digest:
                return earlier
    current = registry.get_alias(name, Alias.PRODUCTION)
    if current is None:
        version = _first_production(registry, name, folder, run_id, who)
    else:
        version = registry.get(name, current)
        if folder and describe_folder(folder).digest != version.digest:
            raise RegistryError(
                f"{folder} is not the production model of {name!r}: the registry says version {version.version} at "
                f"{version.uri}. To work on that one, leave the production model empty; to go back to an earlier one, "
                "use `flywheel registry rollback`; for an unrelated model choose another model name"
            )
    registry.record(Event(name=name, kind="resolved", who=who, version=version.version, run_id=run_id))
    return version


def resolve_version(registry: Registry, name: str, version: str) -> ModelVersion:
    """Return a version by its number or by an alias.

    Args:
        registry: The registry.
        name: Model name.
        version: A number such as `3`, or `production`, `candidate`, `previous`.

    Raises:
        NotRegisteredError: There is no such version, or the alias is not set.
        RegistryError: `version` is neither a number nor an alias.
    """
    text = version.strip().removeprefix("v")
    if text.isdecimal():
        return registry.get(name, int(text))
    if version not in tuple(Alias):
        raise RegistryError(f"{version!r} is neither a version number nor one of the aliases {', '.join(Alias)}")
    number = registry.get_alias(name, Alias(version))
    if number is None:
        raise NotRegisteredError(f"{name} has no {version}: no run has registered one, or it was withdrawn")
    return registry.get(name, number)


def _first_production(registry: Registry, name: str, folder: str, run_id: str, who: str) -> ModelVersion:
    if not folder:
        raise NotRegisteredError(f"the registry has no production model of {name!r} yet; give its folder")
    version = registry.register(_new(name, folder, describe_folder(folder), None, run_id=run_id), who)
    move = AliasMove(alias=Alias.PRODUCTION, version=version.version, expected=None)
    registry.set_alias(name, [move], who, "first production model of this registry", run_id=run_id)
    return version


def _new(name: str, uri: str, manifest: ModelManifest, verdict: Verdict | None, run_id: str) -> NewVersion:
    verdict_metrics = {
        f"{metric.name}/{arm}": value
        for metric in (verdict.metrics if verdict else ())
        for arm, value in (("candidate", metric.candidate), ("production", metric.production))
        if value is not None
    }
    return NewVersion(
        name=name,
        digest=manifest.digest,
        uri=str(uri),
        base_digest=manifest.base_digest,
        dataset_digest=manifest.dataset_digest,
        table_version=manifest.table_version,
        code_version=manifest.code_version,
        method=manifest.method,
        run_id=manifest.run_id or run_id,
        metrics={**manifest.metrics, **verdict_metrics},
        decision=str(verdict.decision) if verdict else "",
        evidence=verdict.scores_digest if verdict else "",
    )

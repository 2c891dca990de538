"""KFP components of the registry; thin wrappers over `registration`, `promotion` and `rollback`."""

from typing import NamedTuple

from kfp import dsl

from flywheel.components import images


@dsl.component(base_image=images.CONTROL, install_kfp_package=False)
def resolve_production(registry: str, model_name: str, production_model: str, store: str, run_id: str) -> str:
    """Find the model that serves now; on first use the given folder is registered as production.

    Args:
        registry: Registry URI, for example `sqlite:////data/registry.db`.
        model_name: Name of the model in the registry.
        production_model: Folder that the caller takes for production; empty: whatever the registry says.
        store: URI of the feedback store.
        run_id: Run that asks; the same run always gets the same answer.

    Returns:
        Folder or URI of the production model.

    Raises:
        RegistryError: `production_model` is another model than the registry's production.
    """
    from flywheel.components.registry import registration, step
    from flywheel.components.registry.open import open_registry

    with step.recorded("resolve_production", store, run_id, open_registry(registry), model_name) as record:
        found = registration.resolve_production(
            record.registry, model_name, production_model, run_id, "resolve_production"
        )
        record.about(found, outcome=str(found.version))
    return found.uri


@dsl.component(base_image=images.CONTROL, install_kfp_package=False)
def resolve_version(registry: str, model_name: str, version: str) -> NamedTuple(  # type: ignore[valid-type]
    "ResolvedVersion", [("uri", str), ("number", str), ("production", str)]
):
    """Find a registered version by number or alias.

    Args:
        registry: Registry URI.
        model_name: Name of the model in the registry.
        version: Version number, or `candidate`, `production`, `previous`.

    Returns:
        uri: Folder or URI of the model.
        number: Its version number.
        production: Number of the version that is production now; empty when there is none.

    Raises:
        NotRegisteredError: There is no such version.
    """
    from flywheel.components.registry import registration
    from flywheel.components.registry.open import open_registry
    from flywheel.components.registry.records import Alias

    opened = open_registry(registry)
    found = registration.resolve_version(opened, model_name, version)
    production = opened.get_alias(model_name, Alias.PRODUCTION)
    return (found.uri, str(found.version), "" if production is None else str(production))


@dsl.component(base_image=images.CONTROL, install_kfp_package=False)
def register_model(
    model: dsl.Input[dsl.Model],
    verdict: dsl.Input[dsl.Artifact],
    registry: str,
    model_name: str,
    metrics: dsl.Output[dsl.Metrics],
    store: str,
    run_id: str,
) -> str:
    """Register a trained model with its lineage and verdict, and point the alias `candidate` to it.

    Args:
        model: Model folder with `model.json`.
        verdict: Verdict document on exactly these weights.
        registry: Registry URI.
        model_name: Name of the model in the registry.
        metrics: The version's metrics.
        store: URI of the feedback store.
        run_id: Run that registers.

    Returns:
        Version number.

    Raises:
        RegistryError: The verdict is about other weights, or the same weights have another lineage already.
    """
    from flywheel.components.contracts.verdict import Verdict
    from flywheel.components.registry import registration, step
    from flywheel.components.registry.open import open_registry

    with step.recorded("register_model", store, run_id, open_registry(registry), model_name) as record:
        found = registration.register_candidate(
            record.registry, model_name, model.path, model.uri, Verdict.read(verdict.path), run_id, "register_model"
        )
        record.about(found, outcome=str(found.version))
    for name, value in found.metrics.items():
        metrics.log_metric(name, value)
    metrics.metadata.update(model=model_name, version=str(found.version), digest=found.digest)
    return str(found.version)


@dsl.component(base_image=images.CONTROL, install_kfp_package=False)
def promote_model(
    registry: str, model_name: str, version: str, expected_production: str, reason: str, store: str, run_id: str
) -> str:
    """Make a version production, if the expected one still is; the old one becomes `previous`.

    Args:
        registry: Registry URI.
        model_name: Name of the model in the registry.
        version: Version to promote; its verdict must be `promote`.
        expected_production: Version that is production now (compare-and-set); empty: none is.
        reason: Why, in words; kept in the audit trail.
        store: URI of the feedback store.
        run_id: Run that promotes.

    Returns:
        Number of the version that is production now.

    Raises:
        AliasMovedError: Someone else moved production in the meantime.
    """
    from flywheel.components.registry import promotion, step
    from flywheel.components.registry.open import open_registry

    expected = int(expected_production) if expected_production else None
    with step.recorded("promote_model", store, run_id, open_registry(registry), model_name) as record:
        found = promotion.promote(record.registry, model_name, int(version), expected, "promote_model", reason, run_id)
        record.about(found, outcome="promoted", reason=reason)
    return str(found.version)


@dsl.component(base_image=images.CONTROL, install_kfp_package=False)
def restore_production(registry: str, model_name: str, version: str, reason: str, store: str, run_id: str) -> str:
    """Withdraw a candidate that was rolled back or held; production stays what it was.

    Args:
        registry: Registry URI.
        model_name: Name of the model in the registry.
        version: Version that was tried.
        reason: Why, in words; kept in the audit trail.
        store: URI of the feedback store.
        run_id: Run that withdraws.

    Returns:
        Number of the version that is production; empty when there is none.

    Raises:
        RegistryError: The version is production itself.
    """
    from flywheel.components.registry import promotion, step
    from flywheel.components.registry.open import open_registry

    with step.recorded("restore_production", store, run_id, open_registry(registry), model_name) as record:
        production = promotion.withdraw(record.registry, model_name, int(version), "restore_production", reason, run_id)
        record.about(record.registry.get(model_name, int(version)), outcome="withdrawn", reason=reason)
    return "" if production is None else str(production)

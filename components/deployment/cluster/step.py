"""What the KFP components of a rollout on KServe do: settings from parameters, models from the registry."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from flywheel.components.cluster.connection import connect
from flywheel.components.deployment.canary.canary import CanaryRun
from flywheel.components.deployment.canary.policy import CanaryPolicy
from flywheel.components.deployment.cluster import canary
from flywheel.components.deployment.cluster.canary import Model, Setting
from flywheel.components.deployment.cluster.sight import Pace
from flywheel.components.registry.open import open_registry


def setting(
    namespace: str, prometheus: str, queries: str, look_seconds: float, step_seconds: float, maturity_seconds: float
) -> Setting:
    """Check a step's parameters.

    Args:
        namespace: Of the InferenceService; "": the step's own.
        prometheus: Address; "": none.
        queries: YAML file with PromQL; "": the preset of the service's mode.
        look_seconds: Between two looks.
        step_seconds: Longest at one share.
        maturity_seconds: Age at which a user is judged.

    Raises:
        ValueError: A time is not positive, or a step is too short for a user to mature.
    """
    if min(look_seconds, step_seconds) <= 0 or maturity_seconds < 0:
        raise ValueError(
            f"look_seconds ({look_seconds}) and step_seconds ({step_seconds}) must be positive, maturity_seconds "
            f"({maturity_seconds}) at least 0"
        )
    if step_seconds <= maturity_seconds:
        raise ValueError(
            f"step_seconds ({step_seconds:.0f}) must exceed maturity_seconds ({maturity_seconds:.0f}): a user is "
            "judged only when that time has passed since the first turn, so no step could ever end with a verdict"
        )
    poll = min(Pace.poll, look_seconds)
    return Setting(
        namespace,
        prometheus,
        queries,
        maturity_seconds,
        replace(Pace(), poll=poll, look=look_seconds, step=step_seconds),
    )


def canary_of(
    registry: str, candidate: str, production: str, service: str, store: str, run_id: str, alerts: str, how: Setting
) -> Callable[[Path, CanaryPolicy], CanaryRun]:
    """Bind a rollout on KServe, as `canary_record.recorded` runs it.

    Args:
        registry: Registry URI; both models must be registered there.
        candidate: Address of the candidate, as registered.
        production: Address of production, as registered.
        service: Name of the InferenceService.
        store: Feedback store.
        run_id: Run.
        alerts: JSON-lines file for alerts.
        how: Where and how.

    Returns:
        A function of a working folder, which is not needed because the state is in the cluster, and the policy.
    """

    def run(_folder: Path, policy: CanaryPolicy) -> CanaryRun:
        models = registered(registry, candidate), registered(registry, production)
        cluster = connect(how.namespace)
        return canary.run(cluster, *models, service, store, run_id, policy, how, alerts)

    return run


def registered(registry: str, uri: str) -> Model:
    """Find the version that a registry has at an address: only what is registered is deployed.

    Args:
        registry: Registry URI.
        uri: Address of the model.

    Raises:
        ValueError: Nothing is registered there, or different weights are.
    """
    found = {
        version.digest
        for version in open_registry(registry).list_versions()
        if version.uri.rstrip("/") == uri.rstrip("/")
    }
    if len(found) != 1:
        what = "nothing is registered at" if not found else f"{len(found)} different models are registered at"
        raise ValueError(f"{what} {uri} in {registry}; a rollout needs a registered version with one digest")
    return Model(uri, found.pop())


def restore(service: str, run_id: str, namespace: str) -> str:
    """Run the exit task; see `canary.restore_traffic`."""
    return canary.restore_traffic(connect(namespace), service, run_id)

"""From the parameters of a run to what is asked of its cluster; a local run asks nothing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flywheel.components.preflight.findings import Finding


def asked_of(
    launcher: str,
    options: Mapping[str, Any],
    driver: str,
    service: str,
    namespace: str = "",
    secrets: Sequence[str] = (),
) -> Callable[[], list[Finding]]:
    """Bind the questions to ask.

    Args:
        launcher: `local` or `trainjob`.
        options: Options of `trainjob`.
        driver: `local` or `kserve`.
        service: InferenceService of `kserve`.
        namespace: Namespace of the InferenceService; empty: the account's own.
        secrets: Secrets that must exist in the namespace, by name.

    Returns:
        Asks the cluster; returns nothing for a run that uses none.

    Raises:
        ValueError: An option of the launcher is not valid.
    """
    if launcher != "trainjob" and driver != "kserve" and not secrets:
        return list

    def ask() -> list[Finding]:
        from flywheel.components.cluster.connection import connect
        from flywheel.components.cluster.errors import ClusterError
        from flywheel.components.preflight.cluster.demands import Wanted, look
        from flywheel.components.training.cluster.settings import TrainingCluster

        training = TrainingCluster.model_validate(dict(options)) if launcher == "trainjob" else None
        found: list[Finding] = []
        parts = []
        if training is not None or secrets:
            parts.append((training.namespace if training else namespace, Wanted(training, "", tuple(secrets))))
        if driver == "kserve":
            parts.append((namespace, Wanted(service=service)))
        for place, wanted in parts:
            try:
                found += look(connect(place), wanted)
            except ClusterError as error:
                found.append(Finding("cluster", "missing", str(error), "run the step in a pod, or set KUBECONFIG"))
        return found

    return ask

"""What a job waits for whose processes do not run: admission, quota, nodes, images."""

import re
from typing import Any

from flywheel.components.training.cluster.diagnosis import Cause, newest_event
from flywheel.components.training.cluster.pods import PodState
from flywheel.components.training.failure import Kind

_PASSING_PULL = re.compile(
    r"timeout|timed out|connection|temporar|toomanyrequests|too many requests|i/o|unavailable|50[0234]|eof",
    re.IGNORECASE,
)
_QUOTA: tuple[str, Kind] = ("QUOTA", "retryable")
_REFUSED: tuple[str, Kind] = ("PODS_REFUSED", "fatal")
_PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable")


def cause_of_not_starting(
    job: str, pods: list[PodState], events: list[dict[str, Any]], suspended: bool, queue: str
) -> Cause:
    """Say what a job that has no running process waits for.

    Args:
        job: Name of the TrainJob.
        pods: Its pods.
        events: Its events, oldest first.
        suspended: Whether it waits for Kueue.
        queue: Kueue queue that was asked for.

    Returns:
        The cause: retryable when waiting longer, or a later run, can help.
    """
    for pod in pods:
        if stuck := stuck_pod(pod):
            return stuck
    if suspended:
        told = newest_event(events, ("Workload", "TrainJob")) or "Kueue has said nothing; is there such a LocalQueue?"
        return Cause("NOT_ADMITTED", "retryable", f"{job} was not admitted to queue {queue or '(none)'}: {told}")
    if refused := newest_event(events, ("Job", "JobSet"), ("FailedCreate",)):
        quota = "exceeded quota" in refused
        words = "the namespace's quota has no room for" if quota else "the cluster refuses"
        code, kind = _QUOTA if quota else _REFUSED
        return Cause(code, kind, f"{words} the pods of {job}: {refused}")
    return _pending(job, pods, events)


def _pending(job: str, pods: list[PodState], events: list[dict[str, Any]]) -> Cause:
    for pod in pods:
        if pod.unschedulable:
            words = (
                f"no node takes pod {pod.name}: {pod.unschedulable}; check node_selector, tolerations, gpus_per_node, "
                "cpu and memory in `cluster`"
            )
            return Cause("UNSCHEDULABLE", "retryable", words, pod.name)
    if pods:
        return Cause("PENDING", "retryable", f"{len(pods)} pods of {job} are pending; {newest_event(events, ('Pod',))}")
    return Cause("NO_PODS", "retryable", f"no pod was made for {job}: is the Kubeflow Trainer controller running?")


def stuck_pod(pod: PodState) -> Cause | None:
    """Say why a container of a pod does not start although the pod has a node; None when nothing keeps it."""
    reason, message = pod.waiting
    if reason in _PULL:
        passing = reason != "InvalidImageName" and bool(_PASSING_PULL.search(message))
        words = (
            f"pod {pod.name} cannot get its image ({reason}: {message}); check the image of the runtime or of "
            "`cluster`, and image_pull_secrets"
        )
        return Cause("IMAGE_PULL", "retryable" if passing else "fatal", words, pod.name)
    if reason:
        return Cause("CANNOT_START", "fatal", f"pod {pod.name} does not start ({reason}: {message})", pod.name)
    return None

"""Exactly one TrainJob for a job: its name is its fingerprint, and whoever comes second takes over what is there."""

import time
from collections.abc import Callable
from typing import Any

from flywheel.components.cluster.client import Cluster
from flywheel.components.cluster.errors import AlreadyExistsError, NotFoundError, QuotaExceededError, UnavailableError
from flywheel.components.cluster.names import label_value
from flywheel.components.cluster.patience import SHORT
from flywheel.components.cluster.resources import TRAIN_JOBS
from flywheel.components.cluster.watch import wait_gone
from flywheel.components.training.cluster.diagnosis import condition_of
from flywheel.components.training.cluster.manifest import FINGERPRINT, RUN
from flywheel.components.training.failure import TrainingFailed
from flywheel.components.training.termination import sigterm_waits

_GONE = 300.0  # seconds for pods to end and finalizers to run


def take(
    cluster: Cluster, body: dict[str, Any], before_new: Callable[[], None], say: Callable[[str], None]
) -> tuple[dict[str, Any], bool]:
    """Create the TrainJob, or adopt the one that is there.

    An adopted job of another run becomes ours while it runs: whoever waits for it last is responsible for it.

    Args:
        cluster: Where.
        body: The TrainJob as it would be created.
        before_new: Called before a create, when no job of this name exists.
        say: Called with lines for people.

    Returns:
        The job as stored, and whether it was there already.

    Raises:
        TrainingFailed: The name belongs to another job; nothing was changed.
        RejectedError: The cluster refuses the job.
    """
    name, wanted = body["metadata"]["name"], body["metadata"]["annotations"]
    deadline = time.monotonic() + cluster.patience.seconds
    while True:
        found = cluster.find(TRAIN_JOBS, name)
        if found is None:
            cluster.check(TRAIN_JOBS, body)
            before_new()
            try:
                with sigterm_waits():  # a request that is under way cannot be taken back: its end must be known
                    return cluster.with_patience(SHORT).create(TRAIN_JOBS, body), False
            except UnavailableError:
                if time.monotonic() > deadline:
                    raise
                continue
            except AlreadyExistsError:  # made in between, or by a request of ours whose answer was lost
                continue
            except QuotaExceededError as error:
                raise TrainingFailed(f"QUOTA: {error}", "retryable", "QUOTA") from error
        _check(found, wanted)
        if "deletionTimestamp" in found["metadata"]:
            say(f"training: TrainJob {name} of an earlier attempt is being deleted; waiting for its pods to end")
            _await_end(cluster, found)
            continue
        if found["metadata"].get("annotations", {}).get(RUN) != wanted[RUN] and not is_finished(found):
            marks = {"annotations": {RUN: wanted[RUN]}, "labels": {RUN: label_value(wanted[RUN])}}
            try:
                cluster.patch(TRAIN_JOBS, name, {"metadata": marks})
            except NotFoundError:  # deleted in between
                continue
        return found, True


def remove(cluster: Cluster, job: dict[str, Any], wait: bool = True) -> None:
    """Delete a TrainJob with its pods.

    Args:
        cluster: Where.
        job: The job; another of the same name made since is left alone.
        wait: Until it is gone.

    Raises:
        TrainingFailed: It was not gone in time.
    """
    if cluster.delete(TRAIN_JOBS, job["metadata"]["name"], uid=job["metadata"]["uid"]) and wait:
        _await_end(cluster, job)


def belongs_to(job: dict[str, Any], fingerprint: str, run_id: str) -> bool:
    """Whether a job is this very job, and of this run: not when another run has adopted it."""
    marks = job["metadata"].get("annotations", {})
    return marks.get(FINGERPRINT) == fingerprint and marks.get(RUN) == run_id


def is_finished(job: dict[str, Any]) -> bool:
    """Whether the controller has ended a job, well or badly."""
    return bool(job) and any(condition_of(job, kind) for kind in ("Complete", "Failed"))


def _check(found: dict[str, Any], wanted: dict[str, str]) -> None:
    there = found["metadata"].get("annotations", {}).get(FINGERPRINT, "")
    if there != wanted[FINGERPRINT]:
        raise TrainingFailed(
            f"NAME_TAKEN: a TrainJob {found['metadata']['name']} exists with another fingerprint "
            f"({there or 'none: it was not made by this launcher'}, ours is {wanted[FINGERPRINT]}); look at it "
            "(kubectl get trainjob -o yaml) and delete or rename it",
            "fatal",
            "NAME_TAKEN",
        )


def _await_end(cluster: Cluster, job: dict[str, Any]) -> None:
    name = job["metadata"]["name"]
    if not wait_gone(cluster, TRAIN_JOBS, name, _GONE, uid=job["metadata"]["uid"]):
        raise TrainingFailed(
            f"NOT_DELETED: TrainJob {name} is still being deleted after {_GONE:.0f} s; see its finalizers and pods",
            "retryable",
            "NOT_DELETED",
        )

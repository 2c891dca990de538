"""Why a TrainJob gave no model: a reason code, whether it may pass, and words with what to do.

Several things look broken at once when one does: a rank that loses its neighbour reports a closed connection, JobSet
reports a failed job. So causes are ranked, and the first in the ranking that was seen is the answer.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from flywheel.components.training.cluster.pods import PodState
from flywheel.components.training.failure import (
    FATAL_STATUS,
    RETRYABLE_STATUS,
    Kind,
    RankFailure,
    TrainingFailed,
    exit_words,
)


@dataclass(frozen=True)
class Cause:
    """What ended a job, or keeps it from starting."""

    reason: str
    kind: Kind
    words: str
    pod: str = ""  # whose log tells more

    def error(self, last_lines: str = "", kept: str = "") -> TrainingFailed:
        """As the error that the step ends with."""
        lines = "".join(f"\n  {line[:300]}" for line in last_lines.splitlines() if line.strip())
        tail = f"\nlast log lines of pod {self.pod}:{lines}" if lines else ""
        place = f"\nTrainJob, events and logs are kept in {kept}" if kept else ""
        return TrainingFailed(f"{self.reason}: {self.words}{tail}{place}", self.kind, self.reason)


def cause_of_pod(pod: PodState) -> Cause | None:
    """Say why a pod failed, from what the cluster reports about it; None when it did not."""
    if pod.ended == "OOMKilled":
        words = (
            f"pod {pod.name} was killed for using more memory than its limit; raise `memory` in `cluster`, "
            "lower batch_size or max_length, or use more nodes"
        )
        return Cause("OOM_KILLED", "fatal", words, pod.name)
    if pod.disruption:
        preempted = "preempt" in pod.disruption.lower()
        words = f"pod {pod.name} was {'preempted' if preempted else 'disrupted'} ({pod.disruption}: {pod.message})"
        return Cause("PREEMPTED" if preempted else "DISRUPTED", "retryable", words, pod.name)
    if pod.reason in ("Evicted", "Preempting", "NodeLost", "NodeShutdown", "Shutdown", "Terminated", "NodeAffinity"):
        return Cause("EVICTED", "retryable", f"pod {pod.name} left its node ({pod.reason}: {pod.message})", pod.name)
    if not pod.failed:
        return None
    if pod.exit_status is None:
        return Cause("POD_FAILED", "retryable", f"pod {pod.name}: {pod.reason or pod.phase} {pod.message}", pod.name)
    return _cause_of_exit(pod, pod.exit_status)


def _cause_of_exit(pod: PodState, status: int) -> Cause:
    if status in (FATAL_STATUS, RETRYABLE_STATUS):
        kind: Kind = "fatal" if status == FATAL_STATUS else "retryable"
        return Cause("USER_CODE", kind, f"training in pod {pod.name} failed", pod.name)
    kind, told = exit_words(status)
    return Cause("KILLED" if kind == "retryable" else "USER_CODE", kind, f"pod {pod.name}: {told}", pod.name)


def cause_of_rank(failures: Iterable[RankFailure]) -> Cause | None:
    """Take the word of the rank that failed first; what is fatal comes before lost connections, its consequence."""
    ordered = sorted(failures, key=lambda failure: (failure.kind == "retryable", failure.at))
    if not ordered:
        return None
    first = ordered[0]
    reason = "GPU_OUT_OF_MEMORY" if first.message.startswith("out of memory") else "USER_CODE"
    reason = "CONNECTION_LOST" if first.kind == "retryable" else reason
    return Cause(reason, first.kind, f"{first.message} (training process {first.rank})")


def cause_of_failed_job(
    job: dict[str, Any], pods: Iterable[PodState], failures: list[RankFailure], events: list[dict[str, Any]]
) -> Cause:
    """Say why a job has failed, best explanation first.

    Args:
        job: TrainJob with the condition Failed.
        pods: States of its pods, those of earlier restarts included.
        failures: What the ranks said.
        events: The job's.
    """
    condition = condition_of(job, "Failed") or {}
    reason, told = condition.get("reason", ""), condition.get("message", "")
    if reason == "DeadlineExceeded":
        return deadline_cause(job)
    if reason == "TrainingRuntimeNotSupported":
        return Cause("RUNTIME", "fatal", f"the TrainingRuntime cannot be used: {told}")
    seen = [cause for pod in pods if (cause := cause_of_pod(pod)) is not None]
    by_rank = cause_of_rank(failures)
    ranked = sorted([*seen, *([by_rank] if by_rank else [])], key=_rank_of_cause)
    if not ranked:
        refused = newest_event(events, ("Job", "JobSet"), ("FailedCreate",))
        words = refused or (f"{reason}: {told}" if told else "the TrainJob failed and nothing says why")
        quota = "exceeded quota" in words
        return Cause("QUOTA" if quota else "JOB_FAILED", "retryable" if quota else "fatal", words)
    first = ranked[0]
    if first.pod or not seen:
        return first
    same = [cause.pod for cause in seen if cause.kind == first.kind]  # the rank's word has no pod: take the likeliest
    return replace(first, pod=(same or [cause.pod for cause in seen])[0])


def _rank_of_cause(cause: Cause) -> int:
    """Causes before their consequences: a rank's own fatal word, the machine's, then broken connections."""
    if cause.kind == "fatal" and not cause.pod:
        return 0
    order = ("OOM_KILLED", "PREEMPTED", "DISRUPTED", "EVICTED")
    if cause.reason in order:
        return 1 + order.index(cause.reason)
    return {"USER_CODE": 6, "CONNECTION_LOST": 5}.get(cause.reason, 7) + 3 * (cause.kind == "retryable")


def deadline_cause(job: dict[str, Any]) -> Cause:
    """The job took too long."""
    limit = job["spec"].get("activeDeadlineSeconds", 0)
    words = (
        f"training took longer than {limit} s; raise timeout_seconds in `cluster` and run again: it continues from its "
        "last checkpoint"
    )
    return Cause("DEADLINE", "fatal", words)


def condition_of(job: dict[str, Any], kind: str) -> dict[str, Any] | None:
    """Find a condition that is true."""
    for one in job.get("status", {}).get("conditions", []):
        if one["type"] == kind and one["status"] == "True":
            return one
    return None


def is_suspended(job: dict[str, Any]) -> bool:
    """Whether the job waits for its admission."""
    return bool(job["spec"].get("suspend"))


def newest_event(events: list[dict[str, Any]], kinds: tuple[str, ...], reasons: tuple[str, ...] = ()) -> str:
    """Words of the newest event on such objects; "" when there is none."""
    for event in reversed(events):
        if event["involvedObject"].get("kind") in kinds and (not reasons or event.get("reason") in reasons):
            return f"{event.get('reason')}: {event.get('message', '')}"
    return ""

"""Waiting for a TrainJob: through queue, start, restarts and end, with the clocks of the API server."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from flywheel.components.cluster.client import Cluster
from flywheel.components.cluster.resources import TRAIN_JOBS
from flywheel.components.cluster.watch import watch
from flywheel.components.training import progress
from flywheel.components.training.cluster.diagnosis import (
    Cause,
    cause_of_failed_job,
    cause_of_pod,
    condition_of,
    deadline_cause,
    is_suspended,
)
from flywheel.components.training.cluster.manifest import active_deadline
from flywheel.components.training.cluster.not_starting import cause_of_not_starting, stuck_pod
from flywheel.components.training.cluster.place import Place
from flywheel.components.training.cluster.pods import Pods, PodState
from flywheel.components.training.cluster.settings import TrainingCluster
from flywheel.components.training.job import TrainingJob

_SETTLE = 120.0  # seconds that the pods may take to end once the result is there, or a volume to show the result
_CONTROLLER = 60.0  # seconds that the controller gets to end an overdue job itself


@dataclass(frozen=True)
class Ending:
    """How waiting ended: `cause` is empty when the job left a result; `over` says that nothing of it runs any more."""

    job: dict[str, Any]
    cause: Cause | None
    over: bool


@dataclass
class Follower:
    """Follows one TrainJob to its end."""

    cluster: Cluster
    place: Place
    job: TrainingJob
    settings: TrainingCluster
    pods: Pods
    say: Callable[[str], None]
    look_every: float = 10.0
    _seen: dict[str, PodState] = field(default_factory=dict)  # newest state of every pod there ever was, by uid
    _state: str = ""
    _waiting_since: float | None = None  # monotonic; no process runs
    _stuck_since: float | None = None
    _result_since: float | None = None

    def to_the_end(self, name: str) -> Ending:
        """Wait until the job has a result, has failed, or is given up.

        Raises:
            ClusterError: The cluster could not be asked any more; the job runs on.
        """
        job: dict[str, Any] | None = None
        looked = -self.look_every
        for change in watch(self.cluster, TRAIN_JOBS, name=name, look_every=self.look_every):
            if change is not None and change.object["metadata"]["name"] == name:
                job = change.object
                if change.kind == "deleted":
                    words = f"TrainJob {name} was deleted while it was waited for; run again to start it anew"
                    return Ending(job, Cause("DELETED", "retryable", words), over=True)
                if ending := self._ended(job):
                    return ending
            if job is None:
                words = f"TrainJob {name} has gone before it could be watched; run again to start it anew"
                return Ending({}, Cause("DELETED", "retryable", words), over=True)
            if time.monotonic() - looked >= min(1.0, self.look_every) or change is None:
                looked = time.monotonic()
                if ending := self._look(job):
                    return ending
        raise AssertionError("a watch has no end")

    def seen_pods(self) -> list[PodState]:
        """States of all pods there were, those of earlier restarts included."""
        return list(self._seen.values())

    def _ended(self, job: dict[str, Any]) -> Ending | None:
        """What the job's conditions say; a job's own result is asked for first, whatever they say."""
        done, failed = condition_of(job, "Complete"), condition_of(job, "Failed")
        if done is None and failed is None:
            return None
        self._look_at_pods()
        self._show_progress()
        if self._result_is_there(_SETTLE if done is not None else 0.0):
            return Ending(job, None, over=True)
        if failed is not None:
            told = self.place.failures(self.job)
            return Ending(job, cause_of_failed_job(job, self.seen_pods(), told, self.pods.events()), over=True)
        where = self.settings.exchange or f"{self.settings.workspace} (claim {self.settings.claim})"
        words = (
            f"the TrainJob says Complete, but left no result in {self.job.work}; do its pods write to the {where} that "
            "this step reads?"
        )
        return Ending(job, Cause("RESULT_MISSING", "fatal", words), over=True)

    def _look(self, job: dict[str, Any]) -> Ending | None:
        """Look at pods, progress and clocks."""
        pods = self._look_at_pods()
        self._show_progress()
        self._show_state(job, pods)
        if self.place.ended(self.job):
            self._result_since = self._result_since or time.monotonic()
            if time.monotonic() - self._result_since > _SETTLE:
                return Ending(job, None, over=False)
            return None
        if self._overdue(job):
            return Ending(job, deadline_cause(job), over=False)
        return self._cannot_start(job, pods)

    def _overdue(self, job: dict[str, Any]) -> bool:
        """Whether its time is over, by the API server's clock and stamps alone; Kueue's queue does not count."""
        if is_suspended(job):
            return False
        began = _time(job["metadata"]["creationTimestamp"])
        for one in job.get("status", {}).get("conditions", []):
            if one["type"] == "Suspended" and one["status"] == "False":
                began = max(began, _time(one["lastTransitionTime"]))
        allowed = active_deadline(self.settings) + min(_CONTROLLER, self.settings.timeout_seconds / 10)
        return (self.cluster.now() - began).total_seconds() > allowed

    def _cannot_start(self, job: dict[str, Any], pods: list[PodState]) -> Ending | None:
        now = time.monotonic()
        if any(pod.started and not pod.failed for pod in pods):
            self._waiting_since = self._stuck_since = None
            return None
        self._waiting_since = self._waiting_since or now
        stuck = next((cause for pod in pods if (cause := stuck_pod(pod)) is not None), None)
        self._stuck_since = (self._stuck_since or now) if stuck else None
        if stuck and self._stuck_since is not None and now - self._stuck_since >= self.settings.pull_seconds:
            return Ending(job, stuck, over=False)
        if now - self._waiting_since < self.settings.queue_seconds:
            return None
        events = self.pods.events()
        name = job["metadata"]["name"]
        cause = cause_of_not_starting(name, pods, events, is_suspended(job), self.settings.queue)
        return Ending(job, cause, over=False)

    def _look_at_pods(self) -> list[PodState]:
        """List the pods; a pod that has failed since the last look speaks at once: JobSet removes it on a restart."""
        pods = self.pods.now()
        for pod in pods:
            before = self._seen.get(pod.uid)
            self._seen[pod.uid] = pod
            cause = cause_of_pod(pod)
            if cause is not None and (before is None or cause_of_pod(before) is None):
                self.say(f"training: {cause.words}; its last log lines:")
                for line in self.pods.tail(pod.name).splitlines():
                    self.say(f"  {pod.name}: {line[:300]}")
        return pods

    def _show_progress(self) -> None:
        for line in self.place.progress(self.job):
            self.say(progress.words(line))

    def _show_state(self, job: dict[str, Any], pods: list[PodState]) -> None:
        state = describe(job, pods, self.settings.queue)
        if state != self._state:
            self._state = state
            self.say(f"training: TrainJob {job['metadata']['name']}: {state}")

    def _result_is_there(self, patience: float) -> bool:
        """Ask for the result; a network volume may show a file some seconds after it was written elsewhere."""
        deadline = time.monotonic() + min(patience, 3 * self.look_every)
        while not self.place.ended(self.job):
            if time.monotonic() >= deadline:
                return False
            time.sleep(min(1.0, self.look_every))
        return True


def describe(job: dict[str, Any], pods: list[PodState], queue: str) -> str:
    """Say in one line where a job is; from its pods, or from `jobsStatus` when these cannot be seen."""
    if is_suspended(job):
        return f"waits for admission to queue {queue}" if queue else "is suspended"
    words = []
    if pods:
        phases = [pod.waiting[0] or pod.phase for pod in pods]
        words.append(", ".join(f"{phases.count(phase)} {phase}" for phase in dict.fromkeys(phases)) + " pods")
    for one in job.get("status", {}).get("jobsStatus", []) if not pods else []:
        counts = [f"{one[key]} {key}" for key in ("active", "ready", "succeeded", "failed") if one.get(key)]
        words.append(f"{one['name']}: {', '.join(counts) or 'nothing runs'}")
    told = job.get("status", {}).get("trainerStatus", {})
    if "progressPercentage" in told:
        words.append(f"{told['progressPercentage']} %")
    return "; ".join(words) or "waits for its pods"


def _time(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).astimezone(UTC)

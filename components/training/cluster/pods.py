"""The pods of a TrainJob, and what they said: states as the kubelet reports them, logs as it keeps them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flywheel.components.cluster.client import Cluster
from flywheel.components.cluster.errors import ClusterError
from flywheel.components.cluster.patience import SHORT
from flywheel.components.cluster.resources import EVENTS, PODS

TAIL = 40  # log lines kept of a pod
LogReader = Callable[[str, int], str]  # (pod, lines) -> text; raises ClusterError
_JOB_SET = "jobset.sigs.k8s.io/jobset-name"
_INDEX = "batch.kubernetes.io/job-completion-index"
_CONTAINER = "node"


@dataclass(frozen=True)
class PodState:
    """What matters of a pod."""

    name: str
    uid: str
    node: int  # its index in the job: rank of its node for torchrun
    phase: str
    reason: str = ""  # of the pod: Evicted, NodeLost, ...
    message: str = ""
    waiting: tuple[str, str] = ("", "")  # reason and message of a container that does not start
    exit_status: int | None = None  # of the training container, when it has ended
    ended: str = ""  # why: OOMKilled, Error, Completed, ...
    disruption: str = ""  # reason of the condition DisruptionTarget
    unschedulable: str = ""  # what the scheduler said
    started: bool = False

    @property
    def failed(self) -> bool:
        """Whether the pod ended badly."""
        return self.phase == "Failed" or (self.exit_status or 0) != 0


def pod_state(pod: dict[str, Any]) -> PodState:
    """Read a Pod object."""
    metadata, status = pod["metadata"], pod.get("status", {})
    marks = {**metadata.get("annotations", {}), **metadata.get("labels", {})}
    conditions = {one["type"]: one for one in status.get("conditions", [])}
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    waiting = [one["state"]["waiting"] for one in containers if "waiting" in one.get("state", {})]
    stuck = [one for one in waiting if one.get("reason") not in (None, "ContainerCreating", "PodInitializing")]
    ended: dict[str, Any] = {}
    for one in status.get("containerStatuses", []):
        if one["name"] == _CONTAINER:
            ended = one.get("state", {}).get("terminated") or {}
    scheduled = conditions.get("PodScheduled", {})
    disrupted = conditions.get("DisruptionTarget", {})
    return PodState(
        name=metadata["name"],
        uid=metadata["uid"],
        node=int(marks.get(_INDEX, 0)),
        phase=status.get("phase", "Pending"),
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        waiting=(stuck[0]["reason"], stuck[0].get("message", "")) if stuck else ("", ""),
        exit_status=ended.get("exitCode"),
        ended=ended.get("reason", ""),
        disruption=disrupted.get("reason", "") if disrupted.get("status") == "True" else "",
        unschedulable=scheduled.get("message", "") if scheduled.get("status") == "False" else "",
        started=status.get("phase") in ("Running", "Succeeded") or bool(ended),
    )


def kubelet_logs(cluster: Cluster) -> LogReader:
    """Read logs through the API server, which asks the kubelet of the pod's node."""
    impatient = cluster.with_patience(SHORT)

    def read(pod: str, lines: int) -> str:
        return impatient.text(PODS, pod, "log", {"container": _CONTAINER, "tailLines": str(lines)})

    return read


@dataclass
class Pods:
    """Looks at a job's pods and events. What the account may not see is said once and left out."""

    cluster: Cluster
    job: str
    logs: LogReader
    say: Callable[[str], None]
    _said: set[str] = field(default_factory=set)

    def now(self) -> list[PodState]:
        """States of the pods there are, by node."""
        found = self._list(PODS, labels=f"{_JOB_SET}={self.job}")
        return sorted(map(pod_state, found), key=lambda pod: (pod.node, pod.name))

    def events(self) -> list[dict[str, Any]]:
        """Events of the TrainJob and of everything made for it (JobSet, Job, pods, Kueue's Workload), oldest first."""
        found = [one for one in self._list(EVENTS) if self._ours(one["involvedObject"].get("name", ""))]
        return sorted(found, key=_when)

    def tail(self, pod: str, lines: int = TAIL) -> str:
        """Last log lines of a pod; where they cannot be read, one line that says why."""
        try:
            return self.logs(pod, lines).rstrip() or f"(the log of pod {pod} is empty)"
        except ClusterError as error:
            return f"(the log of pod {pod} cannot be read: {error})"

    def _ours(self, name: str) -> bool:
        own = name.removeprefix("trainjob-")  # Kueue's workloads are named after kind and job
        return own == self.job or own.startswith(f"{self.job}-")

    def _list(self, resource: Any, labels: str = "") -> list[dict[str, Any]]:
        try:
            return self.cluster.list(resource, labels=labels)["items"]
        except ClusterError as error:
            if error.retryable:
                raise
            if str(error) not in self._said:
                self._said.add(str(error))
                self.say(f"training: {resource.plural} are not shown: {error}")
            return []


def _when(event: dict[str, Any]) -> str:
    return event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or ""

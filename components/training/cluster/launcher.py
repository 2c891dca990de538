"""The launcher `trainjob`: run a training job as a Kubeflow TrainJob, and answer for it until it ends.

The cluster is the memory: name and annotations of the TrainJob say what it is, so a launcher that was killed at any
moment and comes again finds its job. The result file says whether there is a model; conditions only say when to look.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from flywheel.components.cluster.access import Right, demand_kind, demand_rights
from flywheel.components.cluster.client import Cluster
from flywheel.components.cluster.connection import connect
from flywheel.components.cluster.errors import ClusterError, NotFoundError, UnavailableError
from flywheel.components.cluster.patience import SHORT, Patience
from flywheel.components.cluster.resources import TRAIN_JOBS, TRAINING_RUNTIMES
from flywheel.components.training.backend import Backend, Launched, World
from flywheel.components.training.cluster import adoption, manifest, record
from flywheel.components.training.cluster.diagnosis import Cause
from flywheel.components.training.cluster.follow import Ending, Follower
from flywheel.components.training.cluster.place import place_of, remove_checkpoints
from flywheel.components.training.cluster.pods import LogReader, Pods, kubelet_logs
from flywheel.components.training.cluster.settings import TrainingCluster
from flywheel.components.training.failure import TrainingFailed
from flywheel.components.training.job import TrainingJob
from flywheel.components.training.termination import sigterm_raises

OUTAGE = Patience(seconds=600.0)  # how long the API server may be away while a job trains
RIGHTS = (
    *(Right(verb, TRAIN_JOBS) for verb in ("create", "get", "list", "watch", "patch", "delete")),
    Right("get", TRAINING_RUNTIMES),
)


class TrainJobBackend:
    """Runs jobs on a cluster; see `flywheel.components.training.backend.Backend`."""

    def __init__(
        self,
        settings: TrainingCluster,
        cluster: Cluster | None = None,
        logs: LogReader | None = None,
        look_every: float = 10.0,
    ):
        """Open the place for inputs and results; the cluster is asked in `world`.

        Args:
            settings: The user's.
            cluster: Where; None: the pod's own, or the kubeconfig's.
            logs: Reads pod logs; None: through the API server.
            look_every: Seconds between two looks at pods and clocks.
        """
        self.settings, self.look_every = settings, look_every
        self.cluster = cluster or connect(settings.namespace, OUTAGE)
        self.logs = logs or kubelet_logs(self.cluster)
        self.place = place_of(settings)
        self._runtime_image = ""

    def world(self, processes: int, rows: int) -> World:
        """Check cluster, rights and runtime; `processes` belongs to the local launcher, here nodes and GPUs count."""
        world = self.settings.nodes * self.settings.per_node()
        if world > rows:
            raise ValueError(f"{world} training processes for {rows} rows; use fewer nodes or GPUs per node")
        demand_kind(self.cluster, TRAIN_JOBS)
        demand_rights(self.cluster, RIGHTS)
        self._runtime_image = self._read_runtime_image()
        device = self.settings.gpu_memory_gib * 2**30
        if self.settings.gpus_per_node:
            return World("cuda", world, device)
        return World("cpu", world, quantity(self.settings.memory) / self.settings.per_node())

    def folder(self, fingerprint: str, output: Path) -> Path:
        """Name the work folder after job and image: another image must not write into a running job's folder."""
        return self.place.folder(manifest.with_image(fingerprint, self._image()), output)

    def launch(self, job: TrainingJob, say: Callable[[str], None]) -> Launched:
        """Run the job to its end; see `Backend`.

        Raises:
            TrainingFailed: Why there is no model, with a reason code.
            ClusterError: The cluster refused or could not be asked; a running job goes on and is found again.
        """
        whole = manifest.with_image(job.fingerprint(), self._image())
        name = manifest.job_name(job, whole)
        details = {"launcher": "trainjob", "name": name, "namespace": self.cluster.namespace, "image": self._image()}
        if (done := self.place.result(job)) is not None:
            say(f"training: this very job has been done (TrainJob {name}); its model is taken over")
            return Launched(done, True, details)
        with sigterm_raises():
            placed = manifest.Placed(self.place.hand_over(job), name, whole)
            try:
                ending = self._attempts(placed, job, say)
            except (TrainingFailed, KeyboardInterrupt) as error:  # SIGTERM, or a person
                if getattr(error, "reason", "STOPPED") == "STOPPED":
                    self._abandon(placed, job, say)
                raise
            result = self.place.result(job)
        if result is None:
            raise TrainingFailed(
                f"RESULT_BROKEN: the model in {job.work} does not have the digest of its result file",
                "retryable",
                "RESULT_BROKEN",
            )
        remove_checkpoints(job)
        return Launched(result, False, details | _facts(ending.job))

    def _attempts(self, placed: manifest.Placed, job: TrainingJob, say: Callable[[str], None]) -> Ending:
        """Follow the job; make a new one after a failure that may pass, within the attempts of this run."""
        attempt = 1
        while True:
            body = manifest.train_job(placed, job, self.settings, attempt)
            stored, adopted = adoption.take(self.cluster, body, lambda: self.place.clear(job), say)
            say(f"training: TrainJob {placed.name} {'is adopted' if adopted else 'was created'}")
            ending = self._follow(placed.name, stored, job, say)
            if ending.cause is None:
                return ending
            annotations = stored["metadata"].get("annotations", {})
            ours = annotations.get(manifest.RUN) == job.run_id
            attempt = int(annotations.get(manifest.ATTEMPT, "1")) if ours else 0
            again = ending.cause.kind == "retryable" and ending.cause.reason not in _NOT_AGAIN
            old = (
                adopted and not ours and adoption.is_finished(ending.job)
            )  # the failure of another run is no reason not to try in this one
            if not (old or (again and attempt < self.settings.attempts)):
                raise ending.cause.error(self._last_lines(ending.cause, stored, say), self.place.kept(job))
            say(f"training: {ending.cause.words}; starting again ({attempt} of {self.settings.attempts} attempts used)")
            adoption.remove(self.cluster, ending.job)
            attempt += 1

    def _follow(self, name: str, stored: dict[str, Any], job: TrainingJob, say: Callable[[str], None]) -> Ending:
        """Follow one TrainJob, keep what it left, and delete what was given up."""
        pods = Pods(self.cluster, name, self.logs, say)
        follower = Follower(self.cluster, self.place, job, self.settings, pods, say, self.look_every)
        try:
            ending = follower.to_the_end(name)
        except UnavailableError as error:
            raise TrainingFailed(
                f"API_SERVER_AWAY: {error}. TrainJob {name} runs on; run this step again to adopt it",
                "retryable",
                "API_SERVER_AWAY",
            ) from error
        if ending.job:
            record.keep(Path(job.work) / "launch", ending.job, pods, follower.seen_pods())
            self.place.keep(job)
        if not ending.over:
            adoption.remove(self.cluster, stored, wait=False)
        return ending

    def _abandon(self, placed: manifest.Placed, job: TrainingJob, say: Callable[[str], None]) -> None:
        """Delete the job within the seconds that a pod has after SIGTERM; not when another run has adopted it."""
        quick, name = self.cluster.with_patience(SHORT), placed.name
        try:
            found = quick.find(TRAIN_JOBS, name)  # also one whose creation was interrupted before we heard of it
            if found is None:
                return
            if not adoption.belongs_to(found, placed.fingerprint, job.run_id):
                say(f"training: TrainJob {name} belongs to another run now and is left alone")
                return
            adoption.remove(quick, found, wait=False)
            say(f"training: TrainJob {name} was deleted")
        except ClusterError as error:
            say(f"training: TrainJob {name} could not be deleted ({error}); delete it, or run the step again")

    def _last_lines(self, cause: Cause, stored: dict[str, Any], say: Callable[[str], None]) -> str:
        if not cause.pod:
            return ""
        return Pods(self.cluster, stored["metadata"]["name"], self.logs, say).tail(cause.pod, 12)

    def _image(self) -> str:
        self._runtime_image = self._runtime_image or self._read_runtime_image()
        return self.settings.image or self._runtime_image

    def _read_runtime_image(self) -> str:
        try:
            runtime = self.cluster.get(TRAINING_RUNTIMES, self.settings.runtime)
        except NotFoundError as error:
            raise ValueError(
                f"there is no TrainingRuntime {self.settings.runtime} in namespace {self.cluster.namespace}; apply "
                "manifests (base/training_runtime.yaml), or give `runtime` in `cluster`"
            ) from error
        return manifest.runtime_image(runtime)


def backend_of(launcher: str, options: dict[str, Any]) -> Backend | None:
    """Make the backend that a step's parameters `launcher` and `cluster` name.

    Returns:
        None for every launcher but "trainjob": `train_model` knows the local one and refuses others.

    Raises:
        ValueError: An option is wrong.
        NoClusterError: There is no cluster to talk to.
    """
    return TrainJobBackend(TrainingCluster.of(options)) if launcher == "trainjob" else None


# A person deleted the job, or waiting was the failure: trying again at once would not be wanted, or not help.
_NOT_AGAIN = ("DELETED", "NOT_ADMITTED", "QUOTA", "UNSCHEDULABLE", "PENDING", "NO_PODS")


def _facts(job: dict[str, Any]) -> dict[str, Any]:
    metadata = job["metadata"]
    return {"uid": metadata["uid"], "attempt": int(metadata.get("annotations", {}).get(manifest.ATTEMPT, "1"))}


def quantity(text: str) -> float:
    """Read a Kubernetes memory quantity as bytes."""
    units = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
    for unit, size in units.items():
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * size
    return float(text)

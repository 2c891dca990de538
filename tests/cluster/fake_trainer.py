"""Plays what is missing beside an API server: the Trainer controller, JobSet, kubelet and the garbage collector."""

import json
import threading
import time
import traceback
from pathlib import Path

from flywheel.components.cluster.errors import ClusterError, NotFoundError
from flywheel.components.cluster.resources import EVENTS, PODS, TRAIN_JOBS
from flywheel.components.training import weights
from flywheel.components.training.failure import RankFailure
from flywheel.components.training.job import TrainingJob, TrainingResult

IMAGE = "registry.example/node:1"


def write_model(folder: Path, content: bytes = b"weights") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(content)
    return folder


class FakeTrainer:
    """Runs `script(trainer, job)` once for every TrainJob that appears in the namespace."""

    def __init__(self, cluster, script):
        self.cluster, self.script = cluster, script
        self.made: list[dict] = []  # every TrainJob there ever was
        self.most_at_once = 0
        self.logs: dict[str, str] = {}
        self.pace = 0.0  # seconds of training
        self.problems: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        for job in self.cluster.list(TRAIN_JOBS)["items"]:
            self.cluster.delete(TRAIN_JOBS, job["metadata"]["name"], propagation="Background")
            self._collect(job)
        for pod in self.cluster.list(PODS)["items"]:
            self.cluster.delete(PODS, pod["metadata"]["name"], propagation="Background")
        assert not self.problems, self.problems

    def _run(self):
        known = set()
        while not self._stop.wait(0.1):
            try:
                jobs = self.cluster.list(TRAIN_JOBS)["items"]
                self.most_at_once = max(self.most_at_once, len(jobs))
                for job in jobs:
                    uid = job["metadata"]["uid"]
                    if "deletionTimestamp" in job["metadata"]:
                        self._collect(job)
                    elif uid not in known:
                        known.add(uid)
                        self.made.append(job)
                        threading.Thread(target=self._play, args=(job,), daemon=True).start()
            except ClusterError as error:
                self.problems.append(str(error))

    def _play(self, job):
        try:
            self.script(self, job)
        except NotFoundError:
            return  # deleted meanwhile: a controller stops there too
        except Exception:
            self.problems.append(traceback.format_exc())

    def _collect(self, job):
        """Foreground deletion: children first, then the finalizer."""
        name = job["metadata"]["name"]
        for pod in self.cluster.list(PODS, labels=f"jobset.sigs.k8s.io/jobset-name={name}")["items"]:
            self.cluster.delete(PODS, pod["metadata"]["name"], propagation="Background")
        if job["metadata"].get("finalizers"):
            try:
                self.cluster.patch(TRAIN_JOBS, name, {"metadata": {"finalizers": None}})
            except NotFoundError:
                return

    # what a script uses

    def pod(self, job, node=0, restart=0, **status):
        """Make a pod, or set its status."""
        owner = job["metadata"]["name"]
        name = f"{owner}-node-0-{node}-r{restart}"
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "labels": {"jobset.sigs.k8s.io/jobset-name": owner},
                "annotations": {"batch.kubernetes.io/job-completion-index": str(node)},
            },
            "spec": {"containers": [{"name": "node", "image": IMAGE}], "restartPolicy": "Never", "nodeName": "n"},
        }
        if self.cluster.find(PODS, name) is None:
            self.cluster.create(PODS, body)
        self.cluster.patch(PODS, name, {"status": status}, subresource="status")
        return name

    def running(self, job, node=0, restart=0):
        return self.pod(job, node, restart, phase="Running", containerStatuses=[container({"running": {}})])

    def failed(self, job, node=0, restart=0, status=1, reason="Error", **more):
        state = {"terminated": {"exitCode": status, "reason": reason}}
        return self.pod(job, node, restart, phase="Failed", containerStatuses=[container(state)], **more)

    def waiting(self, job, reason, message, node=0):
        state = {"waiting": {"reason": reason, "message": message}}
        return self.pod(job, node, phase="Pending", containerStatuses=[container(state)])

    def status(self, job, **status):
        self.cluster.patch(TRAIN_JOBS, job["metadata"]["name"], {"status": status}, subresource="status")

    def condition(self, job, kind, reason, message="", status="True"):
        self.status(
            job,
            conditions=[
                {
                    "type": kind,
                    "status": status,
                    "reason": reason,
                    "message": message,
                    "lastTransitionTime": self.cluster.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
                }
            ],
        )

    def complete(self, job):
        self.condition(job, "Complete", "JobsCompleted", "jobset completed successfully")

    def fail(self, job, reason="JobsFailed", message="jobset failed"):
        self.condition(job, "Failed", reason, message)

    def event(self, kind, name, reason, message):
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": "e-"},
            "involvedObject": {"kind": kind, "name": name, "namespace": self.cluster.namespace},
            "reason": reason,
            "message": message,
            "type": "Warning",
            "lastTimestamp": self.cluster.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        self.cluster.create(EVENTS, body)

    def training_job(self, job) -> TrainingJob:
        """The job file, as a pod would read it."""
        arguments = job["spec"]["trainer"]["args"]
        return TrainingJob.read(arguments[arguments.index("--job") + 1])

    def progress(self, job, step, total):
        line = {"step": step, "total": total, "loss": 1.0, "tokens_per_second": 10.0, "seconds_left": 1.0}
        with (Path(self.training_job(job).work) / "progress.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def rank_failure(self, job, rank, kind, message, at=0.0):
        work = Path(self.training_job(job).work)
        RankFailure(rank=rank, kind=kind, message=message, explained=True, at=at).write(
            work / "failures" / f"rank-{rank}.json"
        )

    def result(self, job, content=b"new"):
        write_result(self.training_job(job), content)

    def log(self, pod, lines):
        if pod not in self.logs:
            raise ClusterError(f"cannot get pods {pod}/log: HTTP 502: no kubelet", 502)
        return "\n".join(self.logs[pod].splitlines()[-lines:])


def write_result(job: TrainingJob, content=b"new"):
    """What rank 0 leaves."""
    work = Path(job.work)
    write_model(work / "export", content)
    TrainingResult(
        fingerprint=job.fingerprint(),
        digest=weights.model_digest(work / "export"),
        rows=8,
        rows_trained=8,
        rows_left_out={},
        steps=4,
        tokens=80,
        loss=((1, 2.0), (4, 1.0)),
        token_accuracy=0.5,
        resumed_at=0,
        seconds=1.0,
        tokens_per_second=80.0,
    ).write(work / "result.json")


def container(state):
    return {"name": "node", "state": state, "ready": False, "restartCount": 0, "image": IMAGE, "imageID": ""}


def succeed(trainer, job):
    """A script: it trains and it is done."""
    trainer.running(job)
    trainer.status(
        job, jobsStatus=[{"name": "node", "active": 1, "ready": 1, "succeeded": 0, "failed": 0, "suspended": 0}]
    )
    trainer.progress(job, 2, 4)
    time.sleep(trainer.pace)
    trainer.result(job)
    trainer.pod(job, phase="Succeeded", containerStatuses=[container({"terminated": {"exitCode": 0}})])
    trainer.complete(job)


def hang(trainer, job):
    """A script: it trains without end."""
    trainer.running(job)
    time.sleep(0.2)

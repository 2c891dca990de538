"""The TrainJob of a training job: pure, deterministic, named by what decides the weights."""

import hashlib
from dataclasses import dataclass
from typing import Any

from flywheel.components.cluster.names import label_value, object_name
from flywheel.components.cluster.resources import TRAIN_JOBS
from flywheel.components.training.cluster.settings import TrainingCluster
from flywheel.components.training.job import TrainingJob
from flywheel.components.training.process_environment import pod_environment

DOMAIN = "flywheel.feedback-flywheel.dev"
FINGERPRINT = f"{DOMAIN}/fingerprint"  # annotation with the whole fingerprint; the name has its beginning
RUN = f"{DOMAIN}/run-id"
ATTEMPT = f"{DOMAIN}/attempt"
ADMISSION_QUEUE = "kueue.x-k8s.io/queue-name"
_PRIORITY = "kueue.x-k8s.io/priority-class"
# JobSet gives the pods names of up to 20 characters more: `-node-0-1023-abcde`.
_LONGEST = 43
_SCRATCH = "/scratch"
_NODE = "node"  # of the runtime: the replicated job, and the container that torch variables are injected into


@dataclass(frozen=True)
class Placed:
    """A job that was brought to where its pods can read it."""

    job_file: str  # path, or URI of the exchange, as the pods see it
    name: str
    fingerprint: str


def with_image(job_fingerprint: str, image: str) -> str:
    """Identify a job on a cluster: base digest, dataset digest, configuration and code (`TrainingJob`), and the image.

    Args:
        job_fingerprint: The job's.
        image: Image of the training pods; of `repository@sha256:...` only the digest counts, so that a mirror of the
            same image makes no other job.

    Returns:
        32 hex digits.
    """
    identity = image.rpartition("@")[2]
    return hashlib.sha256(f"{job_fingerprint}\n{identity}\n".encode()).hexdigest()[:32]


def runtime_image(runtime: dict[str, Any]) -> str:
    """Find the image of the training container in a TrainingRuntime.

    Raises:
        ValueError: The runtime has no container `node` in a replicated job `node`, as torch jobs need.
    """
    for replicated in runtime["spec"]["template"]["spec"].get("replicatedJobs", []):
        for container in replicated["template"]["spec"]["template"]["spec"].get("containers", []):
            if (replicated["name"], container["name"]) == (_NODE, _NODE):
                return container["image"]
    raise ValueError(
        f"TrainingRuntime {runtime['metadata']['name']} has no container `node` in a replicated job `node`: "
        "manifests/base/training_runtime.yaml shows the shape"
    )


def job_name(job: TrainingJob, whole: str) -> str:
    """Name the TrainJob, with room for the names of its pods within 63 characters."""
    return object_name(job.method, whole[:16], _LONGEST)


def train_job(placed: Placed, job: TrainingJob, settings: TrainingCluster, attempt: int = 1) -> dict[str, Any]:
    """Build the TrainJob.

    Args:
        placed: Where its inputs are.
        job: The job.
        settings: The user's.
        attempt: Count of TrainJobs that were made for it, this one included.

    Returns:
        An object of `trainer.kubeflow.org/v1alpha1`.
    """
    labels = {"app.kubernetes.io/part-of": "feedback-flywheel", RUN: label_value(job.run_id)}
    if settings.queue:
        labels[ADMISSION_QUEUE] = settings.queue
    if settings.priority:
        labels[_PRIORITY] = settings.priority
    metadata = {
        "name": placed.name,
        "labels": labels,
        "annotations": {FINGERPRINT: placed.fingerprint, RUN: job.run_id, ATTEMPT: str(attempt)},
    }
    runtime = {"apiGroup": TRAIN_JOBS.group, "kind": "TrainingRuntime", "name": settings.runtime}
    spec: dict[str, Any] = {
        "runtimeRef": runtime,
        "activeDeadlineSeconds": active_deadline(settings),
        "trainer": _trainer(placed, job, settings),
        "runtimePatches": [{"manager": f"{DOMAIN}/launcher", "trainingRuntimeSpec": _pod_patch(settings)}],
    }
    if settings.queue:
        spec["suspend"] = True  # Kueue resumes it when its quota has room
    return {"apiVersion": TRAIN_JOBS.api_version, "kind": TRAIN_JOBS.kind, "metadata": metadata, "spec": spec}


def active_deadline(settings: TrainingCluster) -> int:
    """Seconds after which the controller itself ends the job, should nobody else be there to do it.

    With Kueue the clock starts at admission; without, waiting for a node counts.
    """
    return round(settings.timeout_seconds + (0 if settings.queue else settings.queue_seconds))


def _trainer(placed: Placed, job: TrainingJob, settings: TrainingCluster) -> dict[str, Any]:
    limits = {"cpu": settings.cpu, "memory": settings.memory}
    if settings.gpus_per_node:
        limits[settings.gpu_resource] = str(settings.gpus_per_node)
    variables: list[dict[str, Any]] = [
        {"name": name, "value": value} for name, value in sorted((pod_environment(job) | settings.environment).items())
    ]
    for name, place in sorted(settings.secret_environment.items()):
        secret, key = place.split("/")
        variables.append({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}})
    command = ["python", "-m", "flywheel.components.training.agent"]
    arguments = ["-m", "flywheel.components.training.run", "--job", placed.job_file]
    if settings.exchange:
        command += ["--scratch", _SCRATCH]
    trainer = {
        "numNodes": settings.nodes,
        "numProcPerNode": settings.per_node(),
        "command": command,
        "args": arguments,
        "env": variables,
        "resourcesPerNode": {"requests": limits, "limits": limits},
    }
    return trainer | ({"image": settings.image} if settings.image else {})


def _pod_patch(settings: TrainingCluster) -> dict[str, Any]:
    if settings.exchange:
        volume: dict[str, Any] = {"name": "scratch", "emptyDir": {}}
        mount = {"name": "scratch", "mountPath": _SCRATCH}
    else:
        volume = {"name": "workspace", "persistentVolumeClaim": {"claimName": settings.claim}}
        mount = {"name": "workspace", "mountPath": settings.workspace}
    pod: dict[str, Any] = {"volumes": [volume], "containers": [{"name": _NODE, "volumeMounts": [mount]}]}
    if settings.node_selector:
        pod["nodeSelector"] = settings.node_selector
    if settings.tolerations:
        pod["tolerations"] = [one.body() for one in settings.tolerations]
    if settings.service_account:
        pod["serviceAccountName"] = settings.service_account
    if settings.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    replicated = {"name": _NODE, "template": {"spec": {"template": {"spec": pod}}}}
    return {"template": {"spec": {"replicatedJobs": [replicated]}}}

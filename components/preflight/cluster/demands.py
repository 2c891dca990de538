"""Which kinds, rights and objects a launcher and a driver need; and whether the cluster has them.

Nothing is changed: kinds and rights are asked for, objects are read. What this account may not look at is reported as
unknown, never as ready.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from flywheel.components.cluster import access
from flywheel.components.cluster.access import Right
from flywheel.components.cluster.client import Cluster
from flywheel.components.cluster.errors import AccessDeniedError, ClusterError, KindMissingError
from flywheel.components.cluster.resources import (
    EVENTS,
    INFERENCE_SERVICES,
    LOCAL_QUEUES,
    PODS,
    TRAIN_JOBS,
    TRAINING_RUNTIMES,
    Resource,
)
from flywheel.components.deployment.cluster import canary
from flywheel.components.preflight.findings import Finding
from flywheel.components.training.cluster import launcher
from flywheel.components.training.cluster.settings import TrainingCluster

CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
SECRETS = Resource("", "v1", "secrets", "Secret")

FOLLOWING = (Right("list", PODS), Right("get", PODS, "log"), Right("list", EVENTS))
"""What the launcher can do without, but then it cannot say why a job failed."""


@dataclass(frozen=True)
class Wanted:
    """What a run is going to use.

    Attributes:
        training: Options of the launcher `trainjob`; None: training is local.
        service: InferenceService of the driver `kserve`; "": serving is local.
        secrets: Secrets that pods of the run mount, by name.
    """

    training: TrainingCluster | None = None
    service: str = ""
    secrets: tuple[str, ...] = field(default=())


def look(cluster: Cluster, wanted: Wanted) -> list[Finding]:
    """Look for everything that a run needs of the cluster.

    Args:
        cluster: Where, as the account that will run the steps.
        wanted: What the run is going to use.

    Returns:
        The findings, in the order in which a run would meet them.
    """
    found: list[Finding] = []
    if wanted.training is not None:
        found += _kinds(cluster, [TRAIN_JOBS, TRAINING_RUNTIMES, *([LOCAL_QUEUES] if wanted.training.queue else [])])
        found += _rights(cluster, (*launcher.RIGHTS, *FOLLOWING), "flywheel-launcher")
        found += list(_training(cluster, wanted.training))
    if wanted.service:
        found += _kinds(cluster, [INFERENCE_SERVICES])
        found += _rights(cluster, canary.RIGHTS, "flywheel-deployer")
        found.append(
            _object(cluster, INFERENCE_SERVICES, wanted.service, "create the InferenceService with production", _ready)
        )
    for name in wanted.secrets:
        found.append(_object(cluster, SECRETS, name, f"create the secret {name} (manifests/README.md lists its keys)"))
    return found


def _training(cluster: Cluster, training: TrainingCluster) -> Iterator[Finding]:
    runtime = f"apply manifests/base, or name another with `runtime` in `cluster` (now {training.runtime})"
    yield _object(cluster, TRAINING_RUNTIMES, training.runtime, runtime)
    if training.queue:
        yield _object(cluster, LOCAL_QUEUES, training.queue, "create the LocalQueue, or leave `queue` empty")
    if not training.exchange:
        yield _object(
            cluster, CLAIMS, training.claim, "create the claim, or give `exchange`, an object-store URI", _bound
        )
    for secret in sorted({place.split("/")[0] for place in training.secret_environment.values()}):
        yield _object(cluster, SECRETS, secret, f"create the secret {secret}, or change `secret_environment`")
    gpus = training.nodes * training.gpus_per_node
    if gpus:
        yield _gpus_of_nodes(cluster, training)
        yield _quota(cluster, f"requests.{training.gpu_resource}", gpus)


def _kinds(cluster: Cluster, resources: list[Resource]) -> Iterator[Finding]:
    for resource in resources:
        what = f"kind {resource.kind} ({resource.api_version})"
        try:
            access.demand_kind(cluster, resource)
        except KindMissingError as error:
            yield Finding(what, "missing", str(error).split(";", maxsplit=1)[0], resource.install)
        except ClusterError as error:
            yield Finding(what, "unknown", str(error))
        else:
            yield Finding(what, "ready", "served")


def _rights(cluster: Cluster, rights: tuple[Right, ...], role: str) -> list[Finding]:
    try:
        lacking = set(access.missing_rights(cluster, rights))
    except ClusterError as error:
        return [Finding(f"rights of {role}", "unknown", str(error))]
    who = access.account(cluster) if lacking else ""
    remedy = f"bind the Role {role} of manifests/base/roles.yaml to this account"
    return [
        Finding(f"right: {right}", "missing", f"{who} lacks it", remedy)
        if right in lacking
        else Finding(f"right: {right}", "ready")
        for right in rights
    ]


def _object(
    cluster: Cluster, resource: Resource, name: str, remedy: str, state: Callable[[dict[str, Any]], str] | None = None
) -> Finding:
    what = f"{resource.kind} {name} in {cluster.namespace}"
    try:
        found = cluster.find(resource, name)
    except AccessDeniedError:
        return Finding(what, "unknown", "this account may not look", "make sure that it is there")
    except ClusterError as error:
        return Finding(what, "missing", str(error).split(";", maxsplit=1)[0], remedy)
    if found is None:
        return Finding(what, "missing", "does not exist", remedy)
    trouble = state(found) if state else ""
    return Finding(what, "missing", trouble, "see its status") if trouble else Finding(what, "ready", "exists")


def _bound(claim: dict[str, Any]) -> str:
    phase = claim.get("status", {}).get("phase", "Pending")
    # A claim that binds when its first pod comes is fine as long as nothing has lost it.
    return f"is {phase}" if phase == "Lost" else ""


def _ready(service: dict[str, Any]) -> str:
    conditions = {one["type"]: one for one in service.get("status", {}).get("conditions", [])}
    ready = conditions.get("Ready", {})
    if ready.get("status") == "True":
        return ""
    reason, message = ready.get("reason") or "no condition Ready yet", ready.get("message", "")
    return f"is not ready ({reason}{': ' if message else ''}{message})"


def _gpus_of_nodes(cluster: Cluster, training: TrainingCluster) -> Finding:
    what = f"{training.nodes} node(s) with {training.gpus_per_node} x {training.gpu_resource}"
    try:
        nodes = cluster.read("/api/v1/nodes")["items"]
    except AccessDeniedError:
        return Finding(what, "unknown", "this account may not list nodes", "ask an administrator, or watch the queue")
    except ClusterError as error:
        return Finding(what, "unknown", str(error))
    fitting = [
        node["metadata"]["name"]
        for node in nodes
        if training.node_selector.items() <= node["metadata"].get("labels", {}).items()
        and int(node.get("status", {}).get("allocatable", {}).get(training.gpu_resource, 0)) >= training.gpus_per_node
        and not node.get("spec", {}).get("unschedulable")
    ]
    if len(fitting) >= training.nodes:
        return Finding(what, "ready", f"{len(fitting)} nodes fit")
    if training.queue:
        return Finding(what, "unknown", f"{len(fitting)} nodes fit now", "the queue may wait for more nodes")
    selector = ", ".join(f"{key}={value}" for key, value in training.node_selector.items()) or "any node"
    remedy = "add nodes, ask for fewer (`nodes`, `gpus_per_node`), or queue with Kueue"
    return Finding(what, "missing", f"{len(fitting)} of {len(nodes)} nodes fit ({selector})", remedy)


def _quota(cluster: Cluster, key: str, needed: int) -> Finding:
    what = f"quota for {needed} x {key.removeprefix('requests.')} in {cluster.namespace}"
    try:
        quotas = cluster.list(QUOTAS)["items"]
    except AccessDeniedError:
        return Finding(what, "unknown", "this account may not read quotas", "look at `kubectl describe quota`")
    except ClusterError as error:
        return Finding(what, "unknown", str(error))
    for quota in quotas:
        hard = quota.get("status", {}).get("hard", quota.get("spec", {}).get("hard", {})).get(key)
        if hard is None:
            continue
        left = Decimal(str(hard)) - Decimal(str(quota.get("status", {}).get("used", {}).get(key, "0")))
        if left < needed:
            name = quota["metadata"]["name"]
            return Finding(what, "missing", f"{left} left of {hard} ({name})", "raise the quota or wait for other jobs")
    return Finding(what, "ready", "allowed")

"""What goes wrong around a rollout: each a clear error that changes nothing, or the right retry."""

import re

import pytest
from rollouts import CANDIDATE, MODE, PRODUCTION, STATE, on_production, state_of, wait_for

from flywheel.components.cluster.client import Cluster
from flywheel.components.cluster.errors import (
    AccessDeniedError,
    KindMissingError,
    NotFoundError,
    RejectedError,
)
from flywheel.components.cluster.resources import INFERENCE_SERVICES, Resource
from flywheel.components.deployment.canary.policy import CanaryPolicy
from flywheel.components.deployment.cluster import canary
from flywheel.components.deployment.cluster.refusal import NotSettledError, RolloutRefusedError

DIGEST = "ab" * 32
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def step(tmp_path):
    """The whole step as the component runs it, up to where the service refuses."""

    def run(cluster, service, **given):
        models = canary.Model(given.pop("uri", CANDIDATE), DIGEST), canary.Model(PRODUCTION, "cd" * 32)
        policy = CanaryPolicy.for_shares(given.pop("shares", (0.05, 0.5, 1.0)))
        setting = canary.Setting(maturity_s=1.0)
        return canary.run(cluster, *models, service, str(tmp_path), "r1", policy, setting, tell=lambda _: None)

    return run


def test_service_missing(step, cluster_of, kserve, namespace):
    with pytest.raises(
        NotFoundError, match=rf"cannot get inferenceservices nobody in namespace {namespace}: .*not found"
    ):
        step(cluster_of("flywheel-deployer"), "nobody")


def test_crd_absent(step, cluster_of, proxy, kserve, proxy_faults):
    proxy_faults(lambda request: request.path.startswith("/apis/serving.kserve.io"), status=404, times=99)
    with pytest.raises(KindMissingError, match=r"InferenceService.*install KServe 0.21"):
        step(cluster_of("flywheel-deployer", proxy.url), "anything")


def test_crd_older(cluster_of, make, connect):
    """A CRD without spec.canary drops it silently; the rehearsal sees that before anything is stored."""
    from kubernetes import client

    group, plural = "older.example.org", "inferenceservices"
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"predictor": free}}, "status": free},
    }
    version = {"name": "v1beta1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": "InferenceService", "plural": plural, "singular": "inferenceservice"}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }
    client.ApiextensionsV1Api(connect("test-admin")).create_custom_resource_definition(crd)
    older = Resource(group, "v1beta1", plural, "InferenceService", "install KServe 0.21 or newer")
    admin = cluster_of("test-admin")
    wait_for(lambda: _is_served(admin, older))
    body = {"apiVersion": older.api_version, "kind": "InferenceService", "metadata": {"name": "old"}}
    stored = admin.create(older, body | {"spec": {"predictor": {"model": {"storageUri": PRODUCTION}}}})
    from flywheel.components.deployment.cluster.served import Served
    from flywheel.components.deployment.cluster.standard import StandardTraffic
    from flywheel.components.deployment.cluster.traffic import Candidate

    stored["spec"]["predictor"]["model"]["modelFormat"] = {"name": "huggingface"}
    patch = StandardTraffic().start(stored, Candidate("c-1", CANDIDATE))
    with pytest.raises(
        RejectedError, match=r"does not know the field spec.canary; its CRD is older.*install KServe 0.21"
    ):
        Served(admin, "old", older).rehearse(patch, _some_state())
    assert admin.get(older, "old")["metadata"]["resourceVersion"] == stored["metadata"]["resourceVersion"]


def _is_served(cluster: Cluster, resource: Resource) -> bool:
    try:
        return cluster.list(resource) is not None
    except KindMissingError:
        return False


def _some_state():
    from flywheel.components.contracts.rollout import RolloutState
    from flywheel.components.deployment.cluster.state import ClusterRollout

    rollout = RolloutState(run_id="r", service="s", production_digest="p", candidate_digest="c", shares=(0.5, 1.0))
    return ClusterRollout(
        rollout=rollout,
        mode="Standard",
        phase="starting",
        candidate="c",
        candidate_uri="s3://c",
        production_uri="s3://p",
    )


def test_rbac_denied(step, roll, cluster_of, make, namespace):
    name = make()
    with pytest.raises(
        AccessDeniedError, match=rf"flywheel-steps.* lacks rights in namespace {namespace}: get inferenceserv"
    ):
        step(cluster_of("flywheel-steps"), name)
    with pytest.raises(
        AccessDeniedError, match=r"service account flywheel-steps of namespace flywheel may not get leases"
    ):
        roll(name, cluster=cluster_of("flywheel-steps"))


@pytest.mark.parametrize(
    ("mode", "body", "message"),
    [
        (
            "Standard",
            {"spec": {"predictor": {"canaryTrafficPercent": 10}}},
            "WRONG_MODE: .*Standard mode ignores|ignores",
        ),
        ("Standard", {"metadata": {"annotations": {MODE: "RawDeployment"}}}, "WRONG_MODE: .*: Standard, literally"),
        (
            "Knative",
            {"metadata": {"annotations": {MODE: "Standard"}}},
            "WRONG_MODE: .*asks for Standard .*runs as Knative",
        ),
        ("Knative", {"metadata": {"annotations": {MODE: "ModelMesh"}}}, "WRONG_MODE: .*ModelMesh"),
        (
            "Knative",
            {"spec": {"predictor": {"canaryTrafficPercent": 30}}},
            "FOREIGN_CANARY: .*splits its traffic already",
        ),
        ("Standard", {"metadata": {"annotations": {"serving.kserve.io/stop": "true"}}}, "STOPPED: .*start it"),
    ],
)
def test_wrong_mode(roll, make, served, change, kserve, mode, body, message):
    name = make(mode)
    wait_for(lambda: served(name).get("status", {}).get("deploymentMode"))
    kserve.silent.add(name)
    before = change(name, body)["metadata"]["generation"]
    with pytest.raises(RolloutRefusedError, match=message):
        roll(name)
    assert served(name)["metadata"]["generation"] == before
    assert STATE not in served(name)["metadata"]["annotations"]


def test_canary_of_somebody_else(roll, make, served, change):
    name = make()
    model = {"name": "", "modelFormat": {"name": "huggingface"}, "storageUri": "s3://by/hand"}
    change(name, {"spec": {"canary": [{"trafficPercent": 10, "predictor": {"name": "byhand", "model": model}}]}})
    with pytest.raises(RolloutRefusedError, match=r"FOREIGN_CANARY: .*canary already \(byhand\)"):
        roll(name)
    assert served(name)["spec"]["canary"][0]["predictor"]["name"] == "byhand"


def test_name_too_long(roll, step, make, cluster_of):
    name = make(name="a-service-with-a-name-of-forty-seven-characters")
    wait_for(lambda: cluster_of("test-admin").find(INFERENCE_SERVICES, name).get("status"))
    with pytest.raises(RolloutRefusedError, match=r"NAME_TOO_LONG: .* with 68 characters, .* may have 42"):
        roll(name)
    with pytest.raises(ValueError, match="has 64 characters; Kubernetes takes at most 63"):
        step(cluster_of("flywheel-deployer"), "s" * 64)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"uri": "/data/model"}, "cannot load the candidate from /data/model: .*pvc://CLAIM/PATH"),
        ({"uri": ""}, "cannot load the candidate from nowhere"),
        ({"shares": (0.005, 0.5, 1.0)}, "share 0.005: KServe splits in whole percents"),
    ],
)
def test_what_kserve_does_not_take(step, cluster_of, make, given, message):
    with pytest.raises(ValueError, match=message):
        step(cluster_of("flywheel-deployer"), make(), **given)


@pytest.mark.parametrize("mode", ["Standard", "Knative"])
def test_gitops_puts_the_spec_back(roll, make, served, change, mode):
    name, said = make(mode), []
    back = {"spec": {"canary": None, "predictor": {"canaryTrafficPercent": None, "model": {"storageUri": PRODUCTION}}}}

    def tell(line):
        said.append(line)
        if line.startswith("5%"):
            change(name, back, manager="argocd-controller")

    ended = roll(name, verdicts="ww", tell=tell)
    assert ended.decision == "hold"
    assert ended.reasons[0].startswith("changed-by-others: ")
    assert "argocd-controller" in ended.reasons[0] or mode == "Standard"  # what is removed has no manager any more
    wait_for(lambda: on_production(served(name)))


def test_controller_that_does_nothing(roll, make, served, kserve):
    name, said = make(), []

    def tell(line):
        said.append(line)
        if line.startswith("5%"):
            kserve.silent.add(name)

    with pytest.raises(NotSettledError, match=r"what is written: 0 % on the candidate.*Generation \d+, observed \d+"):
        roll(name, tell=tell, settle=0.3)
    assert on_production(served(name))
    assert re.match(r"controller-silent: \d+ % asked for 0 s ago", state_of(served(name))["rollout"]["reasons"][0])
    kserve.wake(name)
    assert roll(name).decision == "hold"
    assert state_of(served(name))["phase"] == "done"


def test_candidate_that_does_not_load(roll, make, kserve, served):
    kserve.broken.add(CANDIDATE)
    try:
        name = make()
        ended = roll(name)
        assert ended.decision == "rollback"
        assert ended.reasons == ("candidate-failed: ModelLoadFailed: cannot load s3://models/candidate",)
        assert on_production(served(name))
    finally:
        kserve.broken.discard(CANDIDATE)


def test_candidate_that_is_never_ready(roll, make, kserve, served):
    kserve.start_s = 1e9
    try:
        name = make()
        with pytest.raises(RolloutRefusedError, match="PRODUCTION_NOT_READY: .*mend it first"):
            roll(name, settle=0.3)
        kserve.start_s = 0.0
        wait_for(lambda: _ready(served(name)))
        kserve.start_s = 1e9
        for pods in kserve.pods[name].values():
            pods.born = -1e10
        ended = roll(name, ready=0.5)
        assert ended.decision == "rollback"
        assert ended.reasons[0].startswith("candidate-not-ready: after 0 s: CanariesNotReady") or ended.reasons
    finally:
        kserve.start_s = 0.0


def _ready(served):
    return {"type": "Ready", "status": "True"} in served.get("status", {}).get("conditions", [])


def test_time_out_holds(roll, make, served):
    name = make()
    ended = roll(name, verdicts="aw", step=0.3)
    assert ended.decision == "hold"
    assert ended.reasons[0].startswith("time-out: no verdict at 50% after")
    assert on_production(served(name))


def test_state_of_another_version_is_not_guessed_at(roll, make, change):
    name = make()
    change(name, {"metadata": {"annotations": {STATE: '{"schema": "flywheel.cluster-rollout/v9"}'}}})
    with pytest.raises(ValueError, match=r"(?s)is no rollout state that this version reads.*remove the annotation"):
        roll(name)

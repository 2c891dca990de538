"""What goes wrong around a rollout: each a clear error that changes nothing, or the right retry."""

import json
import re
import threading
import time
from itertools import pairwise

import pytest

from flywheel.components.cluster.client import Cluster
from flywheel.components.cluster.errors import (
    AccessDeniedError,
    GoneError,
    KindMissingError,
    NotAuthenticatedError,
    NotFoundError,
    RejectedError,
    UnavailableError,
)
from flywheel.components.cluster.lease import LeaseHeldError
from flywheel.components.cluster.resources import INFERENCE_SERVICES, LEASES, Resource
from flywheel.components.deployment.cluster import canary
from flywheel.components.deployment.cluster.refusal import NotSettledError, RolloutLostError, RolloutRefusedError
from flywheel.components.deployment.cluster.rollout_lease import RolloutLease
from flywheel.components.deployment.policy import CanaryPolicy

STATE = "flywheel.feedback-flywheel.dev/rollout"
MODE = "serving.kserve.io/deploymentMode"
PRODUCTION, CANDIDATE = "s3://models/production", "s3://models/candidate"
DIGEST = "ab" * 32
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def state_of(served):
    return json.loads(served["metadata"]["annotations"][STATE])


def on_production(served):
    """Whether the spec sends everything to production."""
    predictor = served["spec"]["predictor"]
    return (
        not served["spec"].get("canary")
        and predictor["model"]["storageUri"] == PRODUCTION
        and predictor.get("canaryTrafficPercent") in (None, 0)
    )


def wait_for(true, seconds=20):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


@pytest.fixture
def step(tmp_path):
    """The whole step as the component runs it, up to where the service refuses."""

    def run(cluster, service, **given):
        models = canary.Model(given.pop("uri", CANDIDATE), DIGEST), canary.Model(PRODUCTION, "cd" * 32)
        policy = CanaryPolicy.for_shares(given.pop("shares", (0.05, 0.5, 1.0)))
        setting = canary.Setting(maturity_s=1.0)
        return canary.run(cluster, *models, service, str(tmp_path), "r1", policy, setting, tell=lambda _: None)

    return run


def test_service_missing(step, cluster_of, kserve):
    with pytest.raises(NotFoundError, match=r"cannot get inferenceservices nobody in namespace rollouts: .*not found"):
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


def test_rbac_denied(step, roll, cluster_of, make):
    name = make()
    with pytest.raises(
        AccessDeniedError, match=r"flywheel-steps.* lacks rights in namespace rollouts: get inferenceserv"
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


@pytest.fixture
def proxy_faults(proxy):
    import sys

    fault = next(module for name, module in sys.modules.items() if hasattr(module, "FaultyProxy")).Fault

    def add(when, **what):
        proxy.faults.append(fault(when, **what))

    return add


def test_status_409(roll, make, cluster_of, proxy, proxy_faults, change):
    name, stop = make(), threading.Event()
    proxy_faults(lambda request: request.method == "PATCH", status=409, reason="Conflict", times=3)

    def meddle():
        while not stop.wait(0.01):
            change(name, {"metadata": {"annotations": {"meddler": str(time.monotonic())}}})

    meddler = threading.Thread(target=meddle)
    meddler.start()
    try:
        assert roll(name, cluster=cluster_of("flywheel-deployer", proxy.url)).decision == "promote"
    finally:
        stop.set()
        meddler.join()


def test_status_410_ends_the_step_on_production_and_a_retry_goes_on(
    roll, make, served, cluster_of, proxy, proxy_faults
):
    name, said = make(), []

    def gone(request):
        return request.method == "GET" and "ramping" in " ".join(said) + str(state_phase())

    def state_phase():
        text = served(name)["metadata"]["annotations"].get(STATE)
        return json.loads(text)["phase"] if text else ""

    proxy_faults(gone, status=410, reason="Expired")
    with pytest.raises(GoneError):
        roll(name, cluster=cluster_of("flywheel-deployer", proxy.url), tell=said.append)
    assert on_production(served(name))
    assert state_of(served(name))["phase"] == "interrupted"
    assert roll(name).decision == "promote"


@pytest.mark.parametrize(
    "fault", [{"status": 429, "headers": {"Retry-After": "0"}}, {"status": 503}, {"cut_before": True}]
)
def test_status_429_and_5xx_and_cut_connections_are_tried_again(roll, make, cluster_of, proxy, proxy_faults, fault):
    proxy_faults(lambda request: request.number % 4 == 0, times=12, **fault)
    assert roll(make(), cluster=cluster_of("flywheel-deployer", proxy.url)).decision == "promote"
    assert not [one for one in proxy.faults if one.times == 12]


@pytest.mark.parametrize("mode", ["Standard", "Knative"])
def test_every_lost_answer_to_a_write_changes_nothing(roll, make, served, cluster_of, proxy, proxy_faults, mode):
    proxy_faults(lambda request: request.method != "GET" and request.number % 2 == 0, cut_after=True, times=99)
    name = make(mode)
    assert roll(name, cluster=cluster_of("flywheel-deployer", proxy.url)).decision == "promote"
    assert state_of(served(name))["phase"] == "done"


def test_api_server_gone_for_good(roll, make, served, cluster_of, proxy, proxy_faults, process):
    name, said = make(), []
    proxy_faults(lambda request: any("5%" in line for line in said), cut_before=True, times=10**6)
    with pytest.raises(UnavailableError, match="no answer from the API server"):
        roll(name, cluster=cluster_of("flywheel-deployer", proxy.url, seconds=0.5), tell=said.append)
    assert any("restore_traffic will" in line for line in said)
    assert not on_production(served(name))  # nobody could reach it: this is what the exit task is for
    restored = process({"service": name, "run_id": "r1", "work": "restore"})[0]
    assert (restored["decision"], restored["error"]) == ("hold", "")
    assert on_production(served(name))


def test_expired_token(roll, make, connect, cluster_of, proxy, proxy_faults):
    tokens = iter(["expired", "expired", *["flywheel-deployer"] * 9])
    cluster = cluster_of("flywheel-deployer")
    cluster._open = lambda: connect(next(tokens))
    assert roll(make(), cluster=cluster).decision == "promote"
    with pytest.raises(NotAuthenticatedError, match="does not accept the token"):
        roll(make(), cluster=cluster_of("expired"))


def test_clock_skew(roll, make, cluster_of):
    """A dead run's lease with times an hour ahead is taken over when it was seen unchanged for its duration."""
    name = make()
    spec = {"holderIdentity": "run dead", "leaseDurationSeconds": 1, "renewTime": "2126-01-01T00:00:00.000000Z"}
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": f"flywheel-rollout-{name}"}}
    cluster_of("test-admin").create(LEASES, lease | {"spec": spec})
    started = time.monotonic()
    assert roll(name).decision == "promote"
    assert time.monotonic() - started > 1.0


def test_lease_of_a_living_run(make, served, cluster_of):
    name, stop = make(), threading.Event()
    other = RolloutLease(cluster_of("flywheel-deployer"), name, "other", seconds=1)
    other.acquire()

    def live():
        while not stop.wait(0.2):
            other.renew()

    living = threading.Thread(target=live)
    living.start()
    try:
        with pytest.raises(LeaseHeldError, match=r"is held by run other since .*delete the lease if"):
            RolloutLease(cluster_of("flywheel-deployer"), name, "r1", seconds=1).acquire()
    finally:
        stop.set()
        living.join()
    assert STATE not in served(name)["metadata"]["annotations"]


def test_two_runs_on_one_service(make, process, kserve):
    name = make()
    ended = process(*[{"service": name, "run_id": run_id, "verdicts": "ar"} for run_id in ("one", "two")])
    assert [one["decision"] for one in ended] == ["rollback", "rollback"]  # one after the other
    order = [
        json.loads(text)["rollout"]["run_id"]
        for one in kserve.history[name]
        if (text := one["metadata"]["annotations"].get(STATE))
    ]
    changes = sum(before != after for before, after in pairwise(order))
    assert (set(order), changes) == ({"one", "two"}, 1)


def test_two_processes_of_one_run(make, process, served):
    """A step that was taken for dead and its retry: one of them stops, the rollout ends once."""
    name = make()
    ended = process(*[{"service": name, "run_id": "r1", "verdicts": "aa"} for _ in range(2)])
    assert state_of(served(name))["rollout"]["decision"] == "promote"
    assert state_of(served(name))["phase"] == "done"
    assert "promote" in [one["decision"] for one in ended]
    for one in ended:
        assert one["decision"] == "promote" or one["error"].startswith(("RolloutLostError", "LeaseLostError")), one


def test_sigterm_gives_the_traffic_back_by_one_patch_and_a_retry_goes_on(make, process, served, kserve):
    name = make()
    stopped = process({"service": name, "run_id": "r1", "verdicts": "at"})[0]
    assert stopped["error"] == "SystemExit: 143"
    assert on_production(served(name))
    wait_for(lambda: state_of(kserve.history[name][-1])["phase"] == "interrupted")
    specs = [(one["spec"].get("canary") or [{}])[0].get("trafficPercent") for one in kserve.history[name]]
    assert specs[specs.index(50) :].count(None) == len(specs) - len(specs[: specs.index(50)]) - specs.count(50)
    again = process({"service": name, "run_id": "r1", "verdicts": "ra"})[0]  # at the second share, not at the first
    assert (again["decision"], again["error"]) == ("promote", "")
    assert "going on with the rollout of s3://models/candidate: interrupted, step 2" in again["said"]


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


def test_state_taken_away_by_hand(roll, make, served, change):
    name = make()

    def tell(line):
        if line.startswith("5%"):
            change(name, {"metadata": {"annotations": {STATE: None}}})

    with pytest.raises(RolloutLostError, match="no longer ours"):
        roll(name, verdicts="ww", tell=tell)


def test_state_of_another_version_is_not_guessed_at(roll, make, change):
    name = make()
    change(name, {"metadata": {"annotations": {STATE: '{"schema": "flywheel.cluster-rollout/v9"}'}}})
    with pytest.raises(ValueError, match=r"(?s)is no rollout state that this version reads.*remove the annotation"):
        roll(name)

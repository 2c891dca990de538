"""Faults of the API server and of other processes while a rollout runs: each the right retry, or a clear error."""

import json
import threading
import time
from itertools import pairwise

import pytest
from rollouts import STATE, on_production, state_of, wait_for

from flywheel.components.cluster.errors import (
    GoneError,
    NotAuthenticatedError,
    UnavailableError,
)
from flywheel.components.cluster.lease import LeaseHeldError
from flywheel.components.cluster.resources import LEASES
from flywheel.components.deployment.cluster.refusal import RolloutLostError
from flywheel.components.deployment.cluster.rollout_lease import RolloutLease

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def test_status_409(roll, make, cluster_of, proxy, proxy_faults, change):
    name, stop = make(), threading.Event()
    proxy_faults(lambda request: request.method == "PATCH", status=409, reason="Conflict", times=3)

    def meddle():
        while not stop.wait(0.03):
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
    """A step that was taken for dead and its retry, at once: the one that took the lease last goes on to the end."""
    names = [make() for _ in range(4)]
    ended = process(*[{"service": name, "run_id": "r1"} for name in names for _ in range(2)])
    for name, pair in zip(names, (ended[n : n + 2] for n in range(0, 8, 2)), strict=True):
        assert (state_of(served(name))["rollout"]["decision"], state_of(served(name))["phase"]) == ("promote", "done")
        assert "promote" in [one["decision"] for one in pair]
        for one in pair:
            assert one["decision"] == "promote" or one["error"].startswith(("RolloutLostError", "LeaseLostError")), one


def test_sigterm_gives_the_traffic_back_by_one_patch_and_a_retry_goes_on(make, process, served, kserve):
    name = make()
    stopped = process({"service": name, "run_id": "r1", "verdicts": "at"})[0]
    assert stopped["error"] == "SystemExit: 143"
    assert on_production(served(name))
    wait_for(lambda: state_of(kserve.history[name][-1])["phase"] == "interrupted")
    shares = [(one["spec"].get("canary") or [{}])[0].get("trafficPercent") for one in kserve.history[name]]
    assert 50 in shares
    after = shares[len(shares) - shares[::-1].index(50) :]
    assert after  # versions since the signal: none of them has a candidate
    assert set(after) == {None}
    again = process({"service": name, "run_id": "r1", "verdicts": "ra"})[0]  # at the second share, not at the first
    assert (again["decision"], again["error"]) == ("promote", "")
    assert "going on with the rollout of s3://models/candidate: interrupted, step 2" in again["said"]


def test_state_taken_away_by_hand(roll, make, served, change):
    name = make()

    def tell(line):
        if line.startswith("5%"):
            change(name, {"metadata": {"annotations": {STATE: None}}})

    with pytest.raises(RolloutLostError, match="no longer ours"):
        roll(name, verdicts="ww", tell=tell)

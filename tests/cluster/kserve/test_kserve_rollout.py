"""Rollouts on a real API server with a played KServe controller, as the deployer's account: killed anywhere, they end
as if they had not been."""

import json

import pytest
from rollouts import CANDIDATE, PRODUCTION, STATE, state_of

GOOD, HARMFUL, UNCLEAR = "aa", "ar", "ah"
DECISIONS = {GOOD: "promote", HARMFUL: "rollback", UNCLEAR: "hold"}
pytestmark = pytest.mark.slow


def ended_well(kserve, cluster, name, verdicts):
    """Assert that a rollout ended as its verdicts say, with nothing left over; return the service."""
    from flywheel.components.cluster.resources import HTTP_ROUTES, INFERENCE_SERVICES, LEASES

    served = cluster.get(INFERENCE_SERVICES, name)
    state = state_of(served)
    assert (state["phase"], state["rollout"]["decision"]) == ("done", DECISIONS[verdicts])
    predictor = served["spec"]["predictor"]
    assert predictor["model"]["storageUri"] == (CANDIDATE if verdicts == GOOD else PRODUCTION)
    assert "canaryTrafficPercent" not in predictor
    assert "canary" not in served["spec"]
    assert cluster.get(LEASES, f"flywheel-rollout-{name}")["spec"]["holderIdentity"] == ""
    if state["mode"] == "Standard":
        refs = cluster.get(HTTP_ROUTES, f"{name}-predictor")["spec"]["rules"][0]["backendRefs"]
        winner = f"{name}-{state['candidate']}-predictor" if verdicts == GOOD else f"{name}-predictor"
        assert [(one["name"], one["weight"]) for one in refs] == [(winner, 100)]
        assert [pods.uri for pods in kserve.pods[name].values()] == [CANDIDATE if verdicts == GOOD else PRODUCTION]
    return served


def never_back(kserve, name):
    """Assert over every version of a service that no traffic went to a candidate once it was decided against."""
    decided = False
    for served in kserve.history[name]:
        text = served["metadata"]["annotations"].get(STATE)
        decided = decided or (text is not None and json.loads(text)["rollout"]["decision"] in ("rollback", "hold"))
        if decided:
            assert not served["spec"].get("canary")
            assert served["spec"]["predictor"].get("canaryTrafficPercent") in (None, 0)
            assert served["spec"]["predictor"]["model"]["storageUri"] == PRODUCTION
    return decided


def kill_points(requests, reads=True):
    """Before each request, and after each write; without reads, around the writes only."""
    for number, method in enumerate(requests, start=1):
        if reads or method != "GET":
            yield [number, "before"]
        if method != "GET":
            yield [number, "after"]


@pytest.mark.timeout(300)  # about 10 s on two idle cores
@pytest.mark.parametrize(
    ("mode", "verdicts"),
    [("Standard", GOOD), ("Standard", HARMFUL), ("Standard", UNCLEAR), ("Knative", GOOD), ("Knative", HARMFUL)],
)
def test_killed_anywhere_it_ends_as_if_it_had_not_been(kserve, process, make, cluster_of, mode, verdicts):
    admin = cluster_of("test-admin")
    whole = process({"service": make(mode), "run_id": "whole", "verdicts": verdicts})[0]
    assert (whole["decision"], whole["error"]) == (DECISIONS[verdicts], "")
    points = list(kill_points(whole["requests"], reads=verdicts == GOOD))
    commands = [{"service": make(mode), "run_id": "r1", "verdicts": verdicts, "kill": point} for point in points]
    killed = process(*commands)
    assert sum(one["signal"] == 9 for one in killed) >= (30 if verdicts == GOOD else 15)
    resumed = process(*[command | {"kill": None} for command in commands])
    for command, one in zip(commands, resumed, strict=True):
        assert (one["decision"], one["error"]) == (DECISIONS[verdicts], ""), command
        ended_well(kserve, admin, command["service"], verdicts)
        assert never_back(kserve, command["service"]) == (verdicts != GOOD)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", ["Standard", "Knative"])
def test_killed_again_and_again_it_still_ends(kserve, process, make, cluster_of, mode):
    commands = [{"service": make(mode), "run_id": "r1", "verdicts": verdicts} for verdicts in (GOOD, HARMFUL)]
    for _ in range(12):
        killed = process(*[command | {"kill": [12, "after"]} for command in commands])
        if all(one["signal"] == 0 for one in killed):
            break
    ended = process(*commands)
    for command, one in zip(commands, ended, strict=True):
        assert (one["decision"], one["error"]) == (DECISIONS[command["verdicts"]], "")
        ended_well(kserve, cluster_of("test-admin"), command["service"], command["verdicts"])


@pytest.mark.parametrize("mode", ["Standard", "Knative"])
def test_exit_task_restores_what_a_killed_run_left(kserve, process, make, cluster_of, mode):
    writes = sum(method != "GET" for method in process({"service": make(mode), "run_id": "whole"})[0]["requests"])
    commands = [{"service": make(mode), "run_id": "r1", "kill": [n, "after write"]} for n in range(1, writes)]
    killed = process(*commands)
    restored = process(*[command | {"kill": None, "work": "restore"} for command in commands])
    decisions = set()
    for command, dead, one in zip(commands, killed, restored, strict=True):
        assert dead["signal"] == 9
        assert one["error"] == "", command
        decisions.add(one["decision"])
        if one["decision"]:
            ended_well(
                kserve, cluster_of("test-admin"), command["service"], GOOD if one["decision"] == "promote" else UNCLEAR
            )
    assert decisions == {"", "hold", "promote"}  # killed before it began, on the way, and when all was decided


def test_promotion_restarts_no_pod(kserve, process, make):
    name = make("Standard")
    assert process({"service": name, "run_id": "r1"})[0]["decision"] == "promote"
    assert [pods.uri for pods in kserve.pods[name].values()] == [CANDIDATE]
    assert kserve.started[name].count(CANDIDATE) == 1  # pods that served as canary serve on


def test_a_finished_rollout_run_again_changes_nothing(kserve, process, make, cluster_of):
    from flywheel.components.cluster.resources import INFERENCE_SERVICES

    name = make("Standard")
    first = process({"service": name, "run_id": "r1", "verdicts": HARMFUL})[0]
    version = cluster_of("test-admin").get(INFERENCE_SERVICES, name)["metadata"]["resourceVersion"]
    again = process({"service": name, "run_id": "r1", "verdicts": HARMFUL})[0]
    assert (first["decision"], again["decision"]) == ("rollback", "rollback")
    assert cluster_of("test-admin").get(INFERENCE_SERVICES, name)["metadata"]["resourceVersion"] == version


def test_another_run_takes_over_what_a_dead_one_left(kserve, process, make, cluster_of):
    name = make("Standard")
    dead = process({"service": name, "run_id": "dead", "verdicts": GOOD, "kill": [20, "before"]})[0]
    assert dead["signal"] == 9
    other = process({"service": name, "run_id": "next", "verdicts": GOOD})[0]
    assert (other["decision"], other["error"]) == ("promote", "")
    states = [
        json.loads(text)["rollout"]
        for one in kserve.history[name]
        if (text := one["metadata"]["annotations"].get(STATE))
    ]
    abandoned = [one for one in states if one["run_id"] == "dead" and one["decision"] == "hold"]
    assert "abandoned: run dead gave it up; taken over by next" in abandoned[0]["reasons"][0]


@pytest.mark.parametrize("mode", ["Standard", "Knative"])
def test_one_rollout_after_the_other(kserve, process, make, served, mode):
    """What was promoted is the next rollout's production, under the name that it came with."""
    name = make(mode)
    assert process({"service": name, "run_id": "first"})[0]["decision"] == "promote"
    second, third = "s3://models/second", "s3://models/third"
    bad = process({"service": name, "run_id": "second", "verdicts": HARMFUL, "candidate": second})[0]
    assert (bad["decision"], bad["error"]) == ("rollback", "")
    assert served(name)["spec"]["predictor"]["model"]["storageUri"] == CANDIDATE
    good = process({"service": name, "run_id": "third", "candidate": third})[0]
    assert (good["decision"], good["error"]) == ("promote", "")
    assert served(name)["spec"]["predictor"]["model"]["storageUri"] == third
    again = process({"service": name, "run_id": "fourth", "candidate": third})[0]
    assert again["error"].startswith("RolloutRefusedError: SERVED_ALREADY")
    if mode == "Standard":
        assert kserve.started[name] == [PRODUCTION, CANDIDATE, second, third]


def test_knative_rollback_waits_for_production_before_it_lets_go(kserve, process, make, served):
    """While production's new revision comes up, everything must stay on the old one, not go to the newest ready one."""
    kserve.start_s = 0.4
    try:
        name = make("Knative")
        ended = process({"service": name, "run_id": "r1", "verdicts": HARMFUL})[0]
    finally:
        kserve.start_s = 0.0
    assert (ended["decision"], ended["error"]) == ("rollback", "")
    candidate = f"{name}-predictor-00002"
    shares = []
    for one in kserve.history[name]:
        status = one.get("status", {}).get("components", {}).get("predictor", {})
        newest = status.get("latestCreatedRevision", "")
        percents = [target["percent"] for target in status.get("traffic", []) if target["revisionName"] == candidate]
        shares.append((newest, sum(percents)))
    assert max(percent for _, percent in shares) == 50
    since_production_came_back = [percent for newest, percent in shares if newest == f"{name}-predictor-00003"]
    assert len(since_production_came_back) >= 2
    assert set(since_production_came_back) == {0}

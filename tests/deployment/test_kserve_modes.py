"""The pure parts of a rollout on KServe: patches, statuses that may not be judged yet, and the state in its annotation."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.components.contracts.rollout import Action, CanaryMetric, Look, RolloutState
from flywheel.components.deployment.cluster.knative import KnativeTraffic
from flywheel.components.deployment.cluster.mode import candidate_of, mode_named, mode_of
from flywheel.components.deployment.cluster.refusal import RolloutRefusedError
from flywheel.components.deployment.cluster.served import writers
from flywheel.components.deployment.cluster.standard import StandardTraffic, percent_in
from flywheel.components.deployment.cluster.state import ANNOTATION, ClusterRollout, read_state
from flywheel.components.deployment.cluster.traffic import Candidate, percent_of

MODE = "serving.kserve.io/deploymentMode"
DIGEST = "0123456789abcdef" * 4


def look(share, number=0, metrics=()):
    users = {"production": number, "candidate": number}
    at = datetime(2026, 11, 1, tzinfo=UTC)
    return Look(at=at, share=share, users=users, requests=users, metrics=metrics, action=Action.HOLD, reasons=("r",))


def state(looks=(), **values):
    rollout = RolloutState(
        run_id="r", service="s", production_digest="p", candidate_digest="c", shares=(0.05, 0.5, 1.0), looks=looks
    )
    given = {
        "mode": "Standard",
        "phase": "ramping",
        "candidate": "c-1",
        "candidate_uri": "s3://new",
        "production_uri": "s3://old",
        "production_revision": "s-predictor-00004",
    }
    return ClusterRollout.model_validate({"rollout": rollout, **given, **values})


def service(mode="Standard", generation=3, observed=3, status=None, canary=None, **predictor):
    model = {"modelFormat": {"name": "huggingface"}, "storageUri": "s3://old"}
    spec = {"predictor": {"minReplicas": 4, "model": model, **predictor}} | ({"canary": canary} if canary else {})
    metadata = {"name": "s", "generation": generation, "annotations": {MODE: mode} if mode else {}}
    return {"metadata": metadata, "spec": spec, "status": {"observedGeneration": observed} | (status or {})}


def test_status_of_an_older_generation_is_not_judged():
    ready = {"canaryStatuses": [{"name": "c-1", "ready": True}], "conditions": [{"type": "Ready", "status": "True"}]}
    old = StandardTraffic().observe(service(generation=4, observed=3, status=ready), None, state())
    assert (old.settled, old.candidate) == (False, True)  # the ready candidate may be another one's pods
    assert StandardTraffic().observe(service(generation=4, observed=4, status=ready), None, state()).settled
    assert not KnativeTraffic().observe(service(generation=4, observed=3), None, state(mode="Knative")).settled


@pytest.mark.parametrize(("percent", "replicas"), [(0, 1), (1, 1), (25, 1), (26, 2), (50, 2), (99, 4)])
def test_entry_of_the_candidate(percent, replicas):
    (entry,) = StandardTraffic().share(service(), state(), percent)["spec"]["canary"]
    assert entry == {
        "trafficPercent": percent,
        "predictor": {
            "name": "c-1",
            "minReplicas": replicas,
            "model": {"name": "", "modelFormat": {"name": "huggingface"}, "storageUri": "s3://new"},
        },
    }


def test_patches_of_one_object():
    standard, knative, served = StandardTraffic(), KnativeTraffic(), service()
    assert standard.roll_back(served, state()) == {"spec": {"canary": None}}
    promoted = {"name": "c-1", "model": {"storageUri": "s3://new"}}
    assert standard.promote(served, state()) == {"spec": {"canary": None, "predictor": promoted}}
    back = {"canaryTrafficPercent": 0, "model": {"storageUri": "s3://old"}}
    assert knative.roll_back(served, state()) == {"spec": {"predictor": back}}
    assert knative.promote(served, state())["spec"]["predictor"]["canaryTrafficPercent"] is None
    assert knative.tidy(service(canaryTrafficPercent=0), state()) == {
        "spec": {"predictor": {"canaryTrafficPercent": None}}
    }
    assert knative.tidy(service(), state()) is None


def revisions(created, ready, noted=""):
    status = {"components": {"predictor": {"latestCreatedRevision": created, "latestReadyRevision": ready}}}
    return service("Knative", status=status), state(mode="Knative", candidate_revision=noted)


@pytest.mark.parametrize(
    ("created", "ready", "noted", "restored"),
    [
        ("s-predictor-00004", "s-predictor-00004", "", True),  # the candidate never came to be
        ("s-predictor-00005", "s-predictor-00005", "", False),  # the candidate's, though nobody noted it
        ("s-predictor-00005", "s-predictor-00005", "s-predictor-00005", False),
        ("s-predictor-00006", "s-predictor-00005", "s-predictor-00005", False),  # production's is not ready yet
        ("s-predictor-00006", "s-predictor-00006", "s-predictor-00005", True),
        ("s-predictor-00006", "s-predictor-00006", "", True),
        ("s-predictor-x", "s-predictor-x", "", False),  # a name that does not count may be the candidate's
    ],
)
def test_the_pinning_goes_only_when_production_is_the_newest(created, ready, noted, restored):
    assert KnativeTraffic().restored(*revisions(created, ready, noted)) is restored


def test_foreign_change_of_the_predictor_makes_another_revision():
    served, now = revisions("s-predictor-00006", "s-predictor-00006", "s-predictor-00005")
    served["spec"]["predictor"] |= {"canaryTrafficPercent": 5, "model": {"storageUri": "s3://new"}}
    assert KnativeTraffic().wanted(served, now) is None
    assert KnativeTraffic().wanted(*_same(served, now, "s-predictor-00005")) == 5


def _same(served, now, created):
    served["status"]["components"]["predictor"]["latestCreatedRevision"] = created
    return served, now


@pytest.mark.parametrize(
    ("weights", "percent"),
    [
        ([[("s-predictor", 95), ("s-c-1-predictor", 5)]], 5),
        ([[("s-predictor", 100)]], 0),
        ([[("s-c-1-predictor", 1)]], 100),
        ([[("s-predictor", 95), ("s-c-1-predictor", 5)], [("s-predictor", 100)]], None),  # the rules do not agree
        ([[("s-predictor", 0)]], None),
        ([], None),
    ],
)
def test_share_that_the_gateway_has(weights, percent):
    rules = [{"backendRefs": [{"name": name, "weight": weight} for name, weight in rule]} for rule in weights]
    assert percent_in({"spec": {"rules": rules}}, "s-c-1-predictor") == percent
    assert percent_in(None, "s-c-1-predictor") is None


@pytest.mark.parametrize(
    ("status", "observed", "percent"), [("True", 7, 5), ("True", 6, None), ("False", 7, None), (None, 0, 5)]
)
def test_share_counts_only_when_the_gateway_took_up_the_newest_route(status, observed, percent):
    weights = [{"name": "s-predictor", "weight": 95}, {"name": "s-c-1-predictor", "weight": 5}]
    accepted = {"type": "Accepted", "status": status, "observedGeneration": observed}
    parents = [] if status is None else [{"conditions": [{"type": "ResolvedRefs", "status": "True"}, accepted]}]
    route = {
        "metadata": {"generation": 7},
        "spec": {"rules": [{"backendRefs": weights}]},
        "status": {"parents": parents},
    }
    assert percent_in(route, "s-c-1-predictor") == percent


@given(st.integers(min_value=1, max_value=99))
def test_whole_percents_are_taken(percent):
    assert percent_of(percent / 100) == percent


@pytest.mark.parametrize("share", [0.0, 0.005, 0.001, 0.123, 0.999, 1.0])
def test_other_shares_are_refused(share):
    with pytest.raises(ValueError, match="splits in whole percents"):
        percent_of(share)


@pytest.mark.parametrize(
    ("annotation", "running", "mode"),
    [
        ("Standard", "Standard", "Standard"),
        ("Standard", "RawDeployment", "Standard"),  # as KServe before 0.16 called it
        ("Standard", "", "Standard"),
        ("Serverless", "Serverless", "Knative"),
        ("Knative", "", "Knative"),
        ("", "Serverless", "Knative"),
    ],
)
def test_mode_is_told(annotation, running, mode):
    assert mode_of(service(annotation, status={"deploymentMode": running})).mode == mode
    assert mode_named(mode).mode == mode


@pytest.mark.parametrize(
    ("annotation", "running", "message"),
    [
        ("", "", "cannot tell how s is deployed.*set the annotation to Standard or Knative"),
        (
            "",
            "Standard",
            "without the annotation; KServe takes spec.canary only with the annotation .*: Standard, literally",
        ),
        ("Knative", "Standard", "asks for Knative .* but runs as Standard"),
        ("standard", "", "cannot tell how s is deployed: annotation .* is standard"),
    ],
)
def test_mode_is_never_guessed(annotation, running, message):
    with pytest.raises(RolloutRefusedError, match=message):
        mode_of(service(annotation, status={"deploymentMode": running}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"workerSpec": {}}, "MULTI_NODE"),
        ({"canaryTrafficPercent": 0}, "WRONG_MODE: .*ignores: the new model would get all traffic at once"),
    ],
)
def test_predictors_without_a_canary(change, message):
    with pytest.raises(RolloutRefusedError, match=message):
        StandardTraffic().check(service(**change), Candidate("c-1", "s3://new"))
    custom = service()
    del custom["spec"]["predictor"]["model"]
    with pytest.raises(RolloutRefusedError, match="NO_MODEL"):
        StandardTraffic().check(custom, Candidate("c-1", "s3://new"))
    with pytest.raises(RolloutRefusedError, match=r"NO_STORAGE_URI: s: set spec.predictor.model.storageUri"):
        StandardTraffic().production_uri(custom)


def test_candidate_is_named_after_its_digest():
    assert candidate_of("s", "pvc://claim/model", DIGEST) == Candidate("c-01234567", "pvc://claim/model")
    with pytest.raises(ValueError, match="is no SHA-256 in hex"):
        candidate_of("s", "s3://m", "xyz")
    with pytest.raises(ValueError, match="use lower case letters, digits and dashes"):
        candidate_of("No_Service", "s3://m", DIGEST)


def test_state_comes_back_from_its_annotation_in_bounded_size():
    metric = CanaryMetric(
        name="bad_feedback",
        production=0.1,
        candidate=0.2,
        difference=0.1,
        lower=0,
        upper=1,
        margin=0.1,
        outcome="unclear",
    )
    looks = tuple(look(share, number, (metric,) * 10) for share in (0.05, 0.5) for number in range(500))
    text = state(looks).annotation()
    assert len(text.encode()) <= 64 * 1024
    there = read_state({"metadata": {"annotations": {ANNOTATION: text}}})
    assert there is not None
    kept = [(one.share, one.users["candidate"]) for one in there.rollout.looks]
    assert kept == [(0.05, 499), (0.5, 497), (0.5, 498), (0.5, 499)]
    assert there.annotation() == text  # writing again what was read changes nothing
    assert read_state({"metadata": {}}) is None
    huge = state(tuple(look(0.05, n, (metric,) * 900) for n in range(9)))
    assert len(huge.annotation().encode()) <= 64 * 1024
    assert json.loads(huge.annotation())["rollout"]["looks"] == []


def test_other_writers_of_a_field():
    fields = {"f:spec": {"f:canary": {}, "f:predictor": {"f:model": {}}}}
    entries = [
        {"manager": "argocd-controller", "fieldsV1": fields},
        {"manager": "feedback-flywheel-rollout", "fieldsV1": fields},
    ]
    served = {"metadata": {"managedFields": entries}}
    assert writers(served, "spec", "predictor") == "argocd-controller"
    assert writers(served, "spec", "transformer") == ""

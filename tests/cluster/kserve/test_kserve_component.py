"""The component in KFP's local runner, against the real API server: real events through intake decide."""

import hashlib
import json
import random
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from kfp import dsl, local
from rollouts import CANDIDATE, PRODUCTION, STATE

from flywheel.components.contracts.rollout import RolloutState
from flywheel.components.deployment.component import restore_traffic, run_canary
from flywheel.components.intake import ingest
from flywheel.components.registry.open import open_registry
from flywheel.components.registry.records import NewVersion
from flywheel.components.store import lineage

MODELS = {"production": PRODUCTION, "candidate": CANDIDATE}
DIGESTS = {name: hashlib.sha256(name.encode()).hexdigest() for name in MODELS}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def events(share, since, bad):
    """Two turns each of 700 users behind a gateway that keeps each on one arm."""
    drawn = random.Random(int(share * 100))
    for user in range(700):
        arm = "candidate" if drawn.random() < share else "production"
        for number in range(2):
            yield {
                "interaction": f"{share}-{user}-{number}",
                "user": f"user-{share}-{user}",
                "timestamp": (since + timedelta(milliseconds=number + user)).isoformat(),
                "model_version": DIGESTS[arm],
                "messages": [{"role": "user", "content": "What does akora cost?"}],
                "response": "akora costs 11.",
                "signals": {
                    "rating": -1 if drawn.random() < bad[arm] else 1,
                    "latency_ms": 100.0 * drawn.lognormvariate(0, 0.1),
                    "tokens": 10,
                },
            }


@pytest.fixture
def people(kserve, tmp_path):
    """Users who come whenever a share is in force, until the rollout is over; their events go through intake."""
    stop, failed = threading.Event(), []

    def come(name, store, bad):
        known = set()
        while not stop.wait(0.05):
            text = (kserve.history.get(name) or [{"metadata": {}}])[-1]["metadata"].get("annotations", {}).get(STATE)
            state = json.loads(text) if text else {}
            if state.get("phase") == "ramping" and state["since"] and state["step"] not in known:
                known.add(state["step"])
                log = tmp_path / f"events-{state['step']}.jsonl"
                share = state["rollout"]["shares"][state["step"]]
                told = events(share, datetime.fromisoformat(state["since"]), bad)
                log.write_text("".join(json.dumps(one) + "\n" for one in told))
                ingest.ingest(str(log), store, "intake")

    def start(*arguments):
        thread = threading.Thread(target=come, args=arguments)
        thread.start()
        threads.append(thread)

    threads = []
    yield start
    stop.set()
    for thread in threads:
        thread.join()
    assert not failed


@pytest.mark.parametrize(
    ("mode", "bad", "decision"),
    [
        ("Standard", {"production": 0.3, "candidate": 0.05}, "promote"),
        ("Knative", {"production": 0.05, "candidate": 0.5}, "rollback"),
    ],
)
def test_the_component_decides_by_real_events(
    api_server, make, served, people, kubeconfig, tmp_path, monkeypatch, namespace, mode, bad, decision
):
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(api_server, "flywheel-deployer", namespace)))
    monkeypatch.setenv("FLYWHEEL_PSEUDONYM_KEY", "k" * 32)
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    name, store, registry = make(mode), str(tmp_path / "store"), str(tmp_path / "registry.db")
    for model, uri in MODELS.items():
        open_registry(registry).register(NewVersion(name="assistant", digest=DIGESTS[model], uri=uri), "test")
    empty = tmp_path / "users.jsonl"
    empty.write_text("")
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"), raise_on_error=True)

    @dsl.pipeline(name="canary")
    def pipeline() -> str:
        found = dsl.importer(artifact_uri=MODELS["candidate"], artifact_class=dsl.Model)
        users = dsl.importer(artifact_uri=str(empty), artifact_class=dsl.Dataset)
        task = run_canary(
            candidate=found.output,
            production_model=MODELS["production"],
            users=users.output,
            registry=registry,
            service=name,
            store=store,
            run_id="run-1",
            shares="0.2,0.5,1.0",
            harm_budget=0.3,
            driver="kserve",
            namespace=namespace,
            look_seconds=1.0,
            step_seconds=100.0,
            maturity_seconds=1.0,
        )
        restore_traffic(service=name, run_id="run-1", driver="kserve", namespace=namespace).after(
            task
        ).ignore_upstream_failure()
        return task.outputs["Output"]

    people(name, store, bad)
    assert pipeline().output == decision
    predictor = served(name)["spec"]["predictor"]
    assert predictor["model"]["storageUri"] == MODELS["candidate" if decision == "promote" else "production"]
    (record,) = lineage.steps(store, "run-1")
    state = RolloutState.model_validate(record.details["rollout"])
    assert (record.step, record.outcome, state.decision) == ("run_canary", decision, decision)
    assert (state.production_digest, state.candidate_digest) == tuple(DIGESTS.values())
    assert record.metrics["users"] > 100
    if decision == "promote":
        assert {look.share for look in state.looks} == {0.2, 0.5}
        assert sum(state.looks[-1].users.values()) == 700
    else:
        assert state.reasons[0].startswith("harm: bad_feedback")
        (alert,) = [json.loads(line) for line in (Path(store) / "alerts.jsonl").read_text().splitlines()]
        assert (alert["kind"], alert["severity"]) == ("canary_rollback", "critical")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"candidate": "s3://models/never"}, "nothing is registered at s3://models/never in .*a registered version"),
        ({"step_seconds": 10.0, "maturity_seconds": 20.0}, "no step could ever end with a verdict"),
        ({"look_seconds": 0.0}, "must be positive"),
    ],
)
def test_what_the_step_refuses_before_it_asks_the_cluster(tmp_path, given, message):
    from flywheel.components.deployment.canary.policy import CanaryPolicy
    from flywheel.components.deployment.cluster import step

    times = {name: given.get(name, 100.0 if name != "maturity_seconds" else 1.0) for name in step_parameters()}
    with pytest.raises(ValueError, match=message):
        how = step.setting("", "", "", **times)
        candidate = given.get("candidate", MODELS["candidate"])
        registry = str(tmp_path / "registry.db")
        run = step.canary_of(registry, candidate, MODELS["production"], "s", str(tmp_path), "r", "", how)
        run(tmp_path, CanaryPolicy.for_shares((0.5, 1.0)))


def step_parameters():
    return ("look_seconds", "step_seconds", "maturity_seconds")

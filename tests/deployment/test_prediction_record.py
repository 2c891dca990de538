"""Predicting and checking as steps: what they keep, and that a repeated or killed step changes nothing."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from kfp import dsl, local

from flywheel.components.contracts.lineage import StepRecord
from flywheel.components.contracts.prediction import CanaryPrediction, PredictionCheck
from flywheel.components.contracts.rollout import Action, CanaryMetric, Look, RolloutState
from flywheel.components.deployment.canary.policy import CanaryPolicy
from flywheel.components.deployment.component import check_prediction, predict_canary
from flywheel.components.deployment.replay import prediction_record, replay_prediction
from flywheel.components.deployment.replay.replay_prediction import Plan
from flywheel.components.store import lineage
from flywheel.components.training.weights import model_digest

PLAN = Plan(size=60, latency_prompts=12)


@pytest.fixture
def store(log_rows, tmp_path: Path) -> str:
    """Users who asked what the tiny models know, and got wrong answers now and then; many of those were corrected."""
    rows, said, candidates, random = [], [], [], Random(2)
    for number in range(300):
        question, right = random.choice(sorted(log_rows.truth.items()))
        wrong = random.random() < 0.4
        answer = "it costs 999." if wrong else right
        rows.append(log_rows.interaction(number, f"u{number % 75}", answer, question=question))
        if wrong and random.random() < 0.6:
            said.append(log_rows.word(number, "correction", "correction", text=right))
            candidates.append(log_rows.accepted(number, "it costs 999.", right))
        elif not wrong and random.random() < 0.3:
            said.append(log_rows.word(number, "rating", "rating", 1.0))
    return log_rows.store_of(tmp_path, rows, said, candidates)


def run_of(store: str, run_id: str, digests: tuple[str, str], decision="promote") -> RolloutState:
    """Record a canary."""
    metric = CanaryMetric(
        name="bad_feedback", production=0.3, candidate=0.1, difference=-0.2, lower=-0.4, upper=0.1, margin=0.1,
        outcome="unclear",
    )  # fmt: skip
    now = datetime(2026, 11, 20, tzinfo=UTC)
    look = Look(
        at=now, share=0.5, users={"production": 50, "candidate": 40}, requests={"production": 90, "candidate": 80},
        metrics=(metric,), action=Action.HOLD,
    )  # fmt: skip
    state = RolloutState(
        run_id=run_id, service="s", production_digest=digests[0], candidate_digest=digests[1], shares=(0.5, 1.0),
        looks=(look,), decision=decision,
    )  # fmt: skip
    details = {"rollout": state.model_dump(mode="json", by_alias=True)}
    lineage.record_step(
        store, StepRecord(run_id=run_id, step="run_canary", started_at=now, finished_at=now, details=details)
    )
    return state


@pytest.mark.slow
def test_predict_then_check(model_folders, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = str(model_folders["good"]), str(model_folders["production"])
    target, said = tmp_path / "prediction.json", []
    made = prediction_record.predict(*folders, store, "r1", str(target), PLAN, said.append)
    names = [rule.name for rule in CanaryPolicy.for_shares().metrics]
    assert [metric.name for metric in made.metrics] == names
    found = {metric.name: metric for metric in made.metrics}
    assert found["bad_feedback"].status == "predicted"
    assert found["bad_feedback"].difference < 0
    assert found["errors"].difference == 0
    assert found["latency"].status == found["cost"].status == "predicted"
    assert found["engagement"].reason.startswith("unseen")
    assert made.users == 30
    assert made.interactions is not None
    assert CanaryPrediction.read(target) == made
    assert any(line.startswith("bad_feedback: -0.") for line in said)
    # again: the same bytes, without touching a model, even after the canary has shown how it ends
    first = target.read_bytes()
    digests = made.production_digest, made.candidate_digest
    state = run_of(store, "r1", digests)
    with monkeypatch.context() as forbidden:
        forbidden.setattr(replay_prediction, "predict", lambda *_: pytest.fail("predicted again"))
        prediction_record.predict(*folders, store, "r1", str(target), PLAN)
        assert target.read_bytes() == first
        other = prediction_record.predict(*folders, store, "r1", str(target), Plan(size=10))
        assert other == made  # after the canary the first word stays
        run_of(store, "r2", digests)
        late = prediction_record.predict(*folders, store, "r2", str(target), PLAN)
    assert {metric.reason.split(":")[0] for metric in late.metrics} == {"canary-over"}
    # the check
    result, known = tmp_path / "check.json", []
    checked = prediction_record.check(store, "r1", str(result), known.append)
    (metric,) = [one for one in checked.metrics if one.outcome != "unknown"]
    assert (metric.observed, metric.predicted) == (-0.2, found["bad_feedback"].difference)
    assert checked.decision == state.decision
    kept = result.read_bytes()
    prediction_record.check(store, "r3", str(tmp_path / "other.json"))  # a run without anything
    prediction_record.check(store, "r1", str(result))
    assert result.read_bytes() == kept
    assert "of 1 predictions held" in known[0]
    # the next prediction knows how this one did
    third = prediction_record.predict(*folders, store, "r4", str(target), Plan(size=20, latency_prompts=0))
    assert [line.checked for line in third.trust] == [1, 1]
    assert any("latency: no prediction (too-few-users" in line for line in replay_prediction.lines(third))


@pytest.mark.slow
def test_clear_harm_is_a_warning_and_no_verdict(model_folders, store: str, tmp_path: Path) -> None:
    """The log's right answers become wrong ones that users are known to complain about."""
    folders = str(model_folders["harmful"]), str(model_folders["good"])
    made = prediction_record.predict(*folders, store, "r1", str(tmp_path / "p.json"), PLAN)
    found = {metric.name: metric for metric in made.metrics}["bad_feedback"]
    assert found.lower > 0.01
    assert made.warnings[0].startswith("harm-predicted: bad_feedback +0.")
    (record,) = lineage.steps(store, "r1")
    assert record.outcome == "; ".join(made.warnings)


def test_an_empty_store_predicts_nothing_and_says_why(model_folders, tmp_path: Path) -> None:
    folders = str(model_folders["good"]), str(model_folders["production"])
    said: list[str] = []
    target = str(tmp_path / "p.json")
    made = prediction_record.predict(*folders, str(tmp_path / "store"), "r1", target, PLAN, said.append)
    assert {metric.reason.split(":")[0] for metric in made.metrics} == {"no-log"}
    assert "errors: no prediction (no-log: the store holds no consented interaction to replay)" in said


def test_a_candidate_that_cannot_be_loaded_is_left_to_the_canary(model_folders, store: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "model.safetensors").write_bytes(b"not weights")
    (broken / "config.json").write_text("{}")
    folders = str(broken), str(model_folders["production"])
    made = prediction_record.predict(*folders, store, "r1", str(tmp_path / "p.json"), PLAN)
    assert {metric.reason.split(":")[0] for metric in made.metrics} == {"candidate-not-loaded"}
    assert made.warnings[0].startswith("candidate-not-loaded")
    with pytest.raises(FileNotFoundError):
        prediction_record.predict(str(tmp_path / "none"), folders[1], store, "r1", str(tmp_path / "p.json"), PLAN)


@pytest.mark.slow
def test_prompts_too_long_or_refused_cost_one_answer(model_folders, store: str) -> None:
    real = replay_prediction.replay_answers.load

    class Picky:
        def __init__(self, folder) -> None:
            self.inner, self.picky = real(folder), folder == model_folders["good"]

        def answer(self, chats):
            if self.picky and any("akora" in chat[-1]["content"] for chat in chats):
                raise RuntimeError("no")
            return self.inner.answer(
                [[{"role": "user", "content": chat[-1]["content"] + " x" * 500}] for chat in chats]
            )

    made = replay_prediction.predict(
        model_folders["production"], model_folders["good"], store, "r", PLAN, CanaryPolicy.for_shares().metrics, Picky
    )
    errors = {metric.name: metric for metric in made.metrics}["errors"]
    assert made.failures["production"] == 0
    assert 0 < made.failures["candidate"] < made.prompts / 2
    assert errors.candidate > errors.production == 0
    assert any("candidate failed on" in note for note in made.notes)


@pytest.mark.slow
def test_a_step_killed_while_it_replays_leaves_nothing_and_runs_again(
    model_folders, store: str, tmp_path: Path
) -> None:
    target = tmp_path / "p.json"
    program = (
        "from flywheel.components.deployment import prediction_record\n"
        "from flywheel.components.deployment.replay.replay_prediction import Plan\n"
        f"prediction_record.predict({str(model_folders['good'])!r}, {str(model_folders['production'])!r}, {store!r}, "
        f"'r1', {str(target)!r}, Plan(size=60, latency_prompts=12), lambda line: print(line, flush=True))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    time.sleep(2.0)  # while it imports or answers
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert not target.exists()
    assert lineage.steps(store, "r1") == []
    folders = str(model_folders["good"]), str(model_folders["production"])
    made = prediction_record.predict(*folders, store, "r1", str(target), PLAN)
    assert CanaryPrediction.read(target) == made
    assert [record.step for record in lineage.steps(store, "r1")] == ["predict_canary"]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_both_components_run_in_kfps_local_runner(model_folders, store: str, tmp_path: Path) -> None:
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"), raise_on_error=True)
    digests = model_digest(model_folders["production"]), model_digest(model_folders["good"])

    @dsl.pipeline(name="predict")
    def pipeline() -> int:
        found = dsl.importer(artifact_uri=str(model_folders["good"]), artifact_class=dsl.Model)
        first = predict_canary(
            candidate=found.output, production_model=str(model_folders["production"]), store=store, run_id="r1", size=40
        )
        second = check_prediction(store=store, run_id="r1", after="promote").after(first)
        return second.outputs["Output"]

    assert pipeline().output == 0
    (path,) = [one for one in (tmp_path / "root").rglob("prediction") if one.is_file()]
    assert (CanaryPrediction.read(path).production_digest, CanaryPrediction.read(path).candidate_digest) == digests
    (path,) = [one for one in (tmp_path / "root").rglob("check") if one.is_file()]
    assert {one.outcome for one in PredictionCheck.read(path).metrics} == {"unknown"}
    assert [record.step for record in lineage.steps(store, "r1")] == ["predict_canary", "check_prediction"]

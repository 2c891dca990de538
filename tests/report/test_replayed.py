"""The attack, and replay beside what the canary showed."""

from datetime import timedelta

import pytest

from flywheel.components.contracts.lineage import StepRecord
from flywheel.components.contracts.prediction import CanaryPrediction, PredictedMetric
from flywheel.components.contracts.rollout import RolloutState
from flywheel.components.deployment.replay.prediction_check import check
from flywheel.components.report.figures import figures
from flywheel.components.report.page import render
from flywheel.components.report.prediction_chart import change, prediction_chart
from flywheel.components.store import lineage

HOSTILE = "<script>alert(1)</script>"


def predicted(name, difference, half, scale="difference"):
    return PredictedMetric(
        name=name, status="predicted", scale=scale, difference=difference, lower=difference - half,
        upper=difference + half, spread_production=0.1, spread_candidate=0.1, users=122, prompts=239,
    )  # fmt: skip


@pytest.fixture
def replayed(turn):
    """A good turn whose canary was predicted, with an attack before it; returns store, registry and the check."""

    def build(checked=True, warnings=(), story="good"):
        store, registry = turn(story)
        steps = {record.step: record for record in lineage.steps(store, story)}
        state = RolloutState.model_validate(steps["run_canary"].details["rollout"])
        prediction = CanaryPrediction(
            run_id=story, production_digest=state.production_digest, candidate_digest=state.candidate_digest,
            interactions=None, feedback=None, since="2026-11-13", until="2026-11-19", prompts=239, users=122,
            same_answers=0.314, warnings=warnings, notes=(f"the whole log was used {HOSTILE}",),
            metrics=(
                predicted("bad_feedback", -0.06, 0.04), predicted("latency", 1.6, 0.1, "ratio"),
                PredictedMetric(name="errors", status="missing", reason=f"no-log: nothing {HOSTILE}"),
            ),
        )  # fmt: skip
        made = check(story, prediction, state, [])
        at = steps["run_canary"].started_at

        def keep(step, **more):
            record = StepRecord(run_id=story, step=step, started_at=at, finished_at=at + timedelta(seconds=1), **more)
            lineage.record_step(store, record)

        shares = {"attack_success/production": 0.34, "attack_success/candidate": 0.02, "benign_pass/candidate": 0.985}
        keep("attack_models", metrics=shares, details={"seeds": 50, "queries": 10, "attacker": "", "crossed": 7})
        keep("predict_canary", details={"prediction": prediction.model_dump(mode="json", by_alias=True)})
        if checked:
            keep("check_prediction", details={"check": made.model_dump(mode="json", by_alias=True)})
        return store, registry, made

    return build


def test_predicted_beside_observed(replayed) -> None:
    store, registry, made = replayed()
    found = figures(store, registry, "assistant", "good")
    assert found["predicted_lines"] == [metric.model_dump(mode="json") for metric in made.metrics]
    assert [line["outcome"] for line in found["predicted_lines"]] == ["held", "missed", "unknown"]
    last = found["canary"]["looks"][-1]["metrics"]
    assert found["predicted_lines"][0]["observed"] == last[0]["difference"]
    page = render(found)
    for words in ("−6.0 pt", "−10.0 pt to −2.0 pt", "×1.60", "×1.05", "239 logged prompts of 122 users"):
        assert words in page
    assert "1 of 2 as predicted" in page
    assert page.count("<polygon") >= 2
    assert HOSTILE not in page


def test_before_the_check_the_prediction_stands_alone(replayed) -> None:
    store, registry, _ = replayed(checked=False, warnings=("harm-predicted: bad_feedback +0.1",))
    found = figures(store, registry, "assistant", "good")
    assert [line["observed"] for line in found["predicted_lines"]] == [None, None, None]
    assert [line["predicted"] for line in found["predicted_lines"]] == [-0.06, 1.6, None]
    page = render(found)
    assert "harm-predicted: bad_feedback +0.1" in page
    assert "as predicted (" not in page


def test_without_prediction_or_attack_nothing_is_shown(turn) -> None:
    found = figures(*turn("good"), "assistant", "good")
    assert (found["prediction"], found["prediction_check"], found["predicted_lines"], found["attack"]) == (
        None, None, [], None,
    )  # fmt: skip
    page = render(found)
    assert "replay expect" not in page
    assert "Under attack" not in page
    assert prediction_chart([]) == ""


def test_the_attack_shows_both_models(replayed) -> None:
    store, registry, _ = replayed()
    found = figures(store, registry, "assistant", "good")["attack"]
    assert found["shares"] == {
        "attack_success": {"production": 0.34, "candidate": 0.02},
        "benign_pass": {"production": None, "candidate": 0.985},
    }
    assert found["spent"] == {"seeds": 50, "queries": 10, "crossed": 7}
    page = render(figures(store, registry, "assistant", "good"))
    row = page[page.index("Protected questions broken") :][:200]
    assert row.index("34.0 %") < row.index("2.0 %", row.index("34.0 %") + 6)
    assert "Harmless questions answered" in page


def test_every_metric_of_the_verdict_is_in_the_table(replayed) -> None:
    store, registry, _ = replayed()
    found = figures(store, registry, "assistant", "good")
    page = render(found)
    table = page[page.index("Every metric") : page.index("Under attack")]
    for metric in found["verdict"]["metrics"]:
        assert metric["name"].replace("_", " ").capitalize() in table
    assert table.count("<tr>") == len(found["verdict"]["metrics"]) + 1


def test_changes_in_words() -> None:
    assert change({"scale": "difference"}, -0.0512) == "−5.1 pt"
    assert change({"scale": "ratio"}, 1.094) == "×1.09"
    assert change({"scale": "ratio"}, None) == "–"

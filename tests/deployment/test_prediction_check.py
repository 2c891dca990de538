from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.components.contracts.prediction import CanaryPrediction, PredictedMetric, PredictionCheck
from flywheel.components.contracts.rollout import Action, CanaryMetric, Look, RolloutState
from flywheel.components.deployment.replay.prediction_check import calibration, check, words

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def predicted(name="bad_feedback", difference=-0.2, half=0.05, scale="difference", spread=0.3):
    return PredictedMetric(
        name=name, status="predicted", scale=scale, difference=difference, lower=difference - half,
        upper=difference + half, spread_production=spread, spread_candidate=spread, users=100, prompts=200,
    )  # fmt: skip


def prediction(*metrics):
    return CanaryPrediction(
        run_id="r1", production_digest="p", candidate_digest="c", interactions=None, feedback=None, metrics=metrics
    )


def rollout(*observed, users=(400, 100), digests=("p", "c"), decision="promote"):
    metrics = tuple(
        CanaryMetric(
            name=name, scale=scale, production=0.4, candidate=0.2, difference=value, lower=None, upper=None, margin=0.1,
            outcome="unclear",
        )
        for name, scale, value in observed
    )  # fmt: skip
    look = Look(
        at=NOW, share=0.5, users={"production": users[0], "candidate": users[1]},
        requests={"production": 9, "candidate": 9}, metrics=metrics, action=Action.HOLD,
    )  # fmt: skip
    return RolloutState(
        run_id="r1", service="s", production_digest=digests[0], candidate_digest=digests[1], shares=(0.5, 1.0),
        looks=(look,) if observed else (), decision=decision,
    )  # fmt: skip


def outcome_of(made: PredictionCheck, name="bad_feedback"):
    return next(metric for metric in made.metrics if metric.name == name)


def test_the_canarys_own_chance_widens_what_is_expected() -> None:
    kept = prediction(predicted(difference=-0.2, half=0.05, spread=0.3))
    many = outcome_of(check("r1", kept, rollout(("bad_feedback", "difference", -0.13), users=(10**6, 10**6)), []))
    few = outcome_of(check("r1", kept, rollout(("bad_feedback", "difference", -0.13), users=(400, 100)), []))
    assert (many.outcome, few.outcome) == ("missed", "held")
    assert many.expected_upper == pytest.approx(-0.15, abs=1e-3)
    noise = 1.959964 * (0.09 / 400 + 0.09 / 100) ** 0.5
    assert few.expected_upper == pytest.approx(-0.2 + (0.05**2 + noise**2) ** 0.5, abs=1e-6)
    assert few.expected_lower == pytest.approx(-0.2 - (0.05**2 + noise**2) ** 0.5, abs=1e-6)


def test_ratios_are_compared_as_ratios() -> None:
    kept = prediction(predicted("latency", 1.0, 0.1, "ratio", spread=0.0))
    low = outcome_of(check("r1", kept, rollout(("latency", "ratio", 0.6)), []), "latency")
    assert low.outcome == "missed"
    assert (low.expected_lower, low.expected_upper) == (pytest.approx(0.9), pytest.approx(1.1))
    assert outcome_of(check("r1", kept, rollout(("latency", "ratio", 1.05)), []), "latency").outcome == "held"


@pytest.mark.parametrize(
    ("kept", "state", "code"),
    [
        (None, rollout(("bad_feedback", "difference", 0.1)), "not-predicted"),
        (prediction(predicted()), None, "not-observed"),
        (prediction(predicted()), rollout(), "not-observed: the canary took no look"),
        (prediction(predicted()), rollout(("bad_feedback", "difference", None)), "not-observed: no value"),
        (prediction(predicted()), rollout(("bad_feedback", "ratio", 1.0)), "other-scale"),
        (prediction(predicted()), rollout(("bad_feedback", "difference", 0.1), digests=("p", "x")), "other-models"),
        (
            prediction(PredictedMetric(name="bad_feedback", status="missing", reason="no-log: nothing")),
            rollout(("bad_feedback", "difference", 0.1)),
            "no-log",
        ),
    ],
)
def test_what_cannot_be_compared_is_unknown_with_the_reason(kept, state, code) -> None:
    made = check("r1", kept, state, [])
    found = outcome_of(made)
    assert found.outcome == "unknown"
    assert found.reason.startswith(code)
    assert made.history == ()  # and is no evidence for or against replay


def test_nothing_at_all_is_an_empty_check() -> None:
    made = check("r1", None, None, [])
    assert (made.metrics, made.history, made.decision) == ((), (), "")


@given(st.lists(st.sampled_from(["held", "missed", "unknown"]), max_size=20))
def test_the_record_counts_every_run_once(outcomes) -> None:
    values = {"held": -0.2, "missed": 0.5, "unknown": None}
    earlier: list[PredictionCheck] = []
    for number, outcome in enumerate(outcomes):
        state = rollout(("bad_feedback", "difference", values[outcome]))
        earlier.append(check(f"run-{number}", prediction(predicted()), state, earlier))
    held, checked = outcomes.count("held"), len(outcomes) - outcomes.count("unknown")
    lines = {line.name: line for line in calibration(earlier)}
    if not checked:
        assert lines == {}
        return
    for name in ("bad_feedback", "all metrics"):
        assert (lines[name].held, lines[name].checked) == (held, checked)
        assert lines[name].lower <= held / checked <= lines[name].upper
    assert lines["bad_feedback"].bias == pytest.approx(0.7 * (checked - held) / checked)
    assert f"{held} of {checked}" in words(lines["bad_feedback"])
    assert calibration([*earlier]) == earlier[-1].history or outcomes[-1] == "unknown"


def test_a_repeated_run_does_not_count_twice() -> None:
    state = rollout(("bad_feedback", "difference", -0.2))
    first = check("r1", prediction(predicted()), state, [])
    again = check("r1", prediction(predicted()), state, [first])
    assert again == first
    assert again.runs == ("r1",)


def test_contracts_refuse_half_a_prediction() -> None:
    with pytest.raises(ValueError, match="needs a difference and both limits"):
        PredictedMetric(name="x", status="predicted", difference=0.1)
    with pytest.raises(ValueError, match="says why and holds no numbers"):
        PredictedMetric(name="x", status="missing", reason="", difference=None)
    with pytest.raises(ValueError, match="lies outside"):
        PredictedMetric(name="x", status="predicted", difference=0.5, lower=0.0, upper=0.4)

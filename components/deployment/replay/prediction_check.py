"""Predicted against observed after a canary, and how far replay can be trusted so far.

A canary observes with noise of its own: a prediction *held* when the observed change lies in the predicted interval,
widened by the chance variation of as many users as the last look saw. The record of all runs turns that into a
calibration: of the predictions of each metric so far, how many held, with an exact (Clopper-Pearson) interval. A
canary that stopped early on a striking first impression shows too extreme a change; its many misses are to be expected
and lower the recorded trust, never raise it.
"""

import math
from collections.abc import Sequence

from flywheel.components.contracts.lineage import StepRecord
from flywheel.components.contracts.prediction import (
    CalibrationLine,
    CanaryPrediction,
    CheckedMetric,
    PredictedMetric,
    PredictionCheck,
)
from flywheel.components.contracts.rollout import CanaryMetric, Look, RolloutState

STEP = "check_prediction"
MOST_RUNS = 50
ALL = "all metrics"


def check(
    run_id: str, prediction: CanaryPrediction | None, state: RolloutState | None, earlier: Sequence[PredictionCheck]
) -> PredictionCheck:
    """Compare a prediction with the canary's last look.

    Args:
        run_id: Run.
        prediction: What was predicted; None: nothing was.
        state: The rollout; None: it left no record.
        earlier: Checks of earlier runs, oldest first.

    Returns:
        The comparison and the calibration over the earlier runs and this one.
    """
    look = state.looks[-1] if state is not None and state.looks else None
    predicted = {metric.name: metric for metric in (prediction.metrics if prediction is not None else ())}
    observed = {metric.name: metric for metric in (look.metrics if look is not None else ())}
    other_models = state is not None and prediction is not None and (
        (state.production_digest, state.candidate_digest) != (prediction.production_digest, prediction.candidate_digest)
    )  # fmt: skip
    metrics = tuple(
        _compare(name, None if other_models else predicted.get(name), observed.get(name), look, other_models)
        for name in dict.fromkeys([*predicted, *observed])
    )
    past = [one for one in earlier if one.run_id != run_id][-(MOST_RUNS - 1) :]
    made = PredictionCheck(
        run_id=run_id,
        decision=str(state.decision) if state is not None else "",
        looks=len(state.looks) if state is not None else 0,
        metrics=metrics,
        runs=(*(one.run_id for one in past), run_id),
    )
    return made.model_copy(update={"history": calibration([*past, made])})


def calibration(checks: Sequence[PredictionCheck]) -> tuple[CalibrationLine, ...]:
    """Count how many predictions held, by metric and in all.

    Args:
        checks: Checks of runs; unknown outcomes do not count.

    Returns:
        A line a metric in order of first appearance, then one for all.
    """
    known = [metric for one in checks for metric in one.metrics if metric.outcome != "unknown"]
    names = dict.fromkeys(metric.name for metric in known)
    lines = [_line(name, [metric for metric in known if metric.name == name]) for name in names]
    return (*lines, _line(ALL, known)) if known else ()


def earlier_checks(records: Sequence[StepRecord]) -> list[PredictionCheck]:
    """Read the checks out of step records, in their order; records of another shape are left out."""
    found = []
    for record in records:
        if record.step == STEP and isinstance(record.details.get("check"), dict):
            found.append(PredictionCheck.model_validate(record.details["check"]))
    return found


def words(line: CalibrationLine) -> str:
    """Say a calibration in a sentence."""
    if not line.checked or line.lower is None or line.upper is None:
        return f"{line.name}: no prediction checked so far"
    return (
        f"{line.name}: {line.held} of {line.checked} predictions held what the canary showed "
        f"(95 % interval of the rate {line.lower:.0%} to {line.upper:.0%})"
    )


def _line(name: str, metrics: Sequence[CheckedMetric]) -> CalibrationLine:
    from flywheel.components.statistics.binomial_bounds import clopper_pearson

    held, checked = sum(metric.outcome == "held" for metric in metrics), len(metrics)
    limits = clopper_pearson(held, checked)
    errors = [error for metric in metrics if (error := _error(metric)) is not None] if name != ALL else []
    return CalibrationLine(
        name=name,
        checked=checked,
        held=held,
        share=held / checked,
        lower=limits.lower,
        upper=limits.upper,
        bias=sum(errors) / len(errors) if errors else None,
    )


def _error(metric: CheckedMetric) -> float | None:
    if metric.predicted is None or metric.observed is None:
        return None
    if metric.scale == "ratio":
        return math.log(metric.observed / metric.predicted)
    return metric.observed - metric.predicted


def _compare(
    name: str, predicted: PredictedMetric | None, observed: CanaryMetric | None, look: Look | None, other_models: bool
) -> CheckedMetric:
    users = {arm: look.users.get(arm, 0) if look is not None else 0 for arm in ("production", "candidate")}
    both = [metric for metric in (predicted, observed) if metric is not None]
    base = {
        "name": name,
        "scale": both[0].scale if both else "difference",
        "users_production": users["production"],
        "users_candidate": users["candidate"],
    }
    if observed is not None and observed.difference is not None:
        base |= {
            "observed": observed.difference,
            "observed_lower": observed.lower,
            "observed_upper": observed.upper,
        }
    if predicted is not None and predicted.status == "predicted":
        base |= {
            "predicted": predicted.difference,
            "predicted_lower": predicted.lower,
            "predicted_upper": predicted.upper,
        }
    reason = _why_unknown(predicted, observed, look, other_models)
    if reason or predicted is None or observed is None or observed.difference is None:
        return CheckedMetric.model_validate(base | {"outcome": "unknown", "reason": reason})
    lower, upper = _expected(predicted, users["production"], users["candidate"])
    held = lower <= observed.difference <= upper
    return CheckedMetric.model_validate(
        base | {"outcome": "held" if held else "missed", "expected_lower": lower, "expected_upper": upper}
    )


def _why_unknown(
    predicted: PredictedMetric | None, observed: CanaryMetric | None, look: Look | None, other_models: bool
) -> str:
    unseen = observed is None or observed.difference is None
    reasons = (
        (other_models, "other-models: the prediction was made for other weights than the canary compared"),
        (predicted is None, "not-predicted: no prediction of this metric was kept before the canary"),
        (predicted is not None and predicted.status == "missing", predicted.reason if predicted is not None else ""),
        (look is None, "not-observed: the canary took no look"),
        (unseen, "not-observed: no value in at least one arm at the last look"),
        (
            predicted is not None and observed is not None and predicted.scale != observed.scale,
            "other-scale: one is a ratio, the other a difference",
        ),
        (_no_ratio(observed), "not-observed: the observed ratio is not positive"),
    )
    return next((words for applies, words in reasons if applies), "")


def _no_ratio(observed: CanaryMetric | None) -> bool:
    return (
        observed is not None
        and observed.scale == "ratio"
        and observed.difference is not None
        and observed.difference <= 0
    )


def _expected(predicted: PredictedMetric, production: int, candidate: int) -> tuple[float, float]:
    """The predicted interval, widened by the chance of so many users; on the log scale for a ratio."""
    from scipy import special

    ratio = predicted.scale == "ratio"
    values = [predicted.difference, predicted.lower, predicted.upper]
    middle, lower, upper = [math.log(value) if ratio else value for value in values if value is not None]
    noise = (predicted.spread_production or 0.0) ** 2 / max(1, production)
    noise += (predicted.spread_candidate or 0.0) ** 2 / max(1, candidate)
    chance = float(special.ndtri(0.5 + predicted.confidence / 2)) ** 2 * noise
    low, high = (
        middle - math.hypot(middle - lower, math.sqrt(chance)),
        middle + math.hypot(upper - middle, math.sqrt(chance)),
    )
    return (math.exp(low), math.exp(high)) if ratio else (max(-1.0, low), min(1.0, high))

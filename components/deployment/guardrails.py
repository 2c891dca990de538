"""The guardrails of a canary: per-user values of matured users, and their anytime-valid limits.

The unit is the user. A user's value is the mean over the turns of the first `maturity` time units after the user's
first turn in the arm, taken once, when that time has passed: users of both arms are judged at equal age, and late
feedback is late in both. The control group is fixed (buckets that are never exposed before promotion), so no user is
in both arms and one sequence per arm holds for the whole ramp.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from flywheel.components.contracts.rollout import CanaryMetric
from flywheel.components.deployment.bounded_difference import difference_limits
from flywheel.components.deployment.turn import Arm, Turn

METRICS = ("bad_feedback", "errors", "latency")


@dataclass
class Cohort:
    """Per-user values of one arm's matured users; lists are aligned with each other but for latency."""

    bad_feedback: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    log_latency: list[float] = field(default_factory=list)  # natural log of ms; users with an answered turn

    @property
    def users(self) -> int:
        """Matured users."""
        return len(self.bad_feedback)


def cohorts(turns: Iterable[Turn], controls: frozenset[str], now: float, maturity: float) -> dict[Arm, Cohort]:
    """Collect the matured users of both arms.

    Args:
        turns: All turns so far.
        controls: Users of the fixed control group; production's other users are not compared.
        now: The traffic's clock; infinite when no more traffic will come.
        maturity: Age at which a user is judged, in the clock's unit.

    Returns:
        Production's and candidate's cohort.
    """
    grouped: dict[tuple[str, Arm], list[Turn]] = {}
    for turn in turns:
        if turn.arm == "candidate" or turn.subject in controls:
            grouped.setdefault((turn.subject, turn.arm), []).append(turn)
    result: dict[Arm, Cohort] = {"production": Cohort(), "candidate": Cohort()}
    for (_, arm), own in grouped.items():
        first = min(turn.asked_at for turn in own)
        if now - first < maturity:
            continue
        aged = [turn for turn in own if turn.asked_at - first <= maturity]
        cohort = result[arm]
        cohort.bad_feedback.append(sum(turn.bad for turn in aged) / len(aged))
        cohort.errors.append(sum(turn.error for turn in aged) / len(aged))
        answered = [math.log(max(turn.latency_ms, 0.01)) for turn in aged if not turn.error]
        if answered:
            cohort.log_latency.append(sum(answered) / len(answered))
    return result


@dataclass(frozen=True)
class Limits:
    """Estimate and one-sided limits of one metric; None where nothing is known."""

    production: float | None
    candidate: float | None
    difference: float | None
    lower: float | None
    upper: float | None


def bounded_limits(production: Sequence[float], candidate: Sequence[float], alpha: float, harm: float) -> Limits:
    """Limits of a difference of per-user rates.

    Args:
        production: Values in [0, 1] of the control users.
        candidate: Values in [0, 1] of the candidate's users.
        alpha: Error rate of the upper limit (non-inferiority).
        harm: Error rate of the lower limit (rollback); smaller, because every metric may roll back.

    Returns:
        Means, their difference and the limits.
    """
    if not production or not candidate:
        return Limits(_mean(production), _mean(candidate), None, None, None)
    before, after = float(np.mean(production)), float(np.mean(candidate))
    lower, upper = difference_limits(production, candidate, alpha_lower=harm, alpha_upper=alpha)
    return Limits(before, after, after - before, lower, upper)


def latency_limits(
    production: Sequence[float], candidate: Sequence[float], alpha: float, harm: float, least: int, expected: float
) -> Limits:
    """Limits of the ratio of geometric mean latencies, by an asymptotic confidence sequence on per-user mean logs.

    Args:
        production: Mean log latency of each control user.
        candidate: Mean log latency of each candidate user.
        alpha: Error rate of the upper limit.
        harm: Error rate of the lower limit.
        least: Users in the smaller arm below which nothing is claimed (the sequence is asymptotic).
        expected: Effective size at which the limits are tightest; fixed in advance.

    Returns:
        Geometric means in ms, their ratio and its limits.
    """
    from flywheel.components.statistics.confidence_sequence import asymptotic_difference

    if not production or not candidate:
        return Limits(_geometric(production), _geometric(candidate), None, None, None)
    first, second = np.asarray(production), np.asarray(candidate)
    before, after = float(first.mean()), float(second.mean())
    ratio = math.exp(after - before)
    if min(first.size, second.size) < least:
        return Limits(math.exp(before), math.exp(after), ratio, None, None)
    parts = (before, float(first.var(ddof=1)), first.size, after, float(second.var(ddof=1)), second.size)
    lower = asymptotic_difference(*parts, harm, expected, sided="one").lower
    upper = asymptotic_difference(*parts, alpha, expected, sided="one").upper
    if not (math.isfinite(lower) and math.isfinite(upper)):
        return Limits(math.exp(before), math.exp(after), ratio, None, None)
    return Limits(math.exp(before), math.exp(after), ratio, math.exp(min(lower, 50.0)), math.exp(min(upper, 50.0)))


def judged(name: str, limits: Limits, margin: float, tolerance: float, excluded_by_share: bool) -> CanaryMetric:
    """Turn limits into an outcome.

    Args:
        name: Metric.
        limits: Its limits.
        margin: Worst difference or ratio still tolerated at this step.
        tolerance: Difference or ratio beyond which worse is harm.
        excluded_by_share: The share is so small that the harm budget holds whatever the metric does.

    Returns:
        The metric: harm (rollback), safe (may advance), unclear, or missing (no value in an arm: never safe).
    """
    if limits.difference is None:
        outcome = "missing"
    elif limits.lower is not None and limits.lower > tolerance:
        outcome = "harm"
    elif excluded_by_share or (limits.upper is not None and limits.upper < margin):
        outcome = "safe"
    else:
        outcome = "unclear"
    return CanaryMetric.model_validate(
        {
            "name": name,
            "scale": "ratio" if name == "latency" else "difference",
            "production": limits.production,
            "candidate": limits.candidate,
            "difference": limits.difference,
            "lower": limits.lower,
            "upper": limits.upper,
            "margin": margin,
            "outcome": outcome,
        }
    )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _geometric(values: Sequence[float]) -> float | None:
    return math.exp(float(np.mean(values))) if values else None

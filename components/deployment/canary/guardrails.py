"""Guardrails and goals of a canary: each metric's estimate, its limits that hold at every look, and what they show."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flywheel.components.contracts.rollout import CanaryMetric
from flywheel.components.deployment.canary.metric_rule import MetricRule

Arms = tuple[Sequence[float], Sequence[float]]  # values of (production, candidate)


@dataclass(frozen=True)
class Limits:
    """Estimate and one-sided limits of one metric as it is reported; None where nothing is known."""

    production: float | None
    candidate: float | None
    difference: float | None  # candidate minus production, or over it
    lower: float | None
    upper: float | None


def limits(
    rule: MetricRule, strata: Sequence[Arms], planned: Sequence[float], alpha_harm: float, alpha_safe: float, least: int
) -> Limits:
    """Compare the arms within strata.

    Args:
        rule: The metric.
        strata: Values of both arms' users by stratum.
        planned: Candidate's planned share of the compared users by stratum, each in (0, 1).
        alpha_harm: Error rate of the limit that can show harm.
        alpha_safe: Error rate of the limit that can show safety, or a gain.
        least: Users in the smaller arm below which an asymptotic limit is not given.

    Returns:
        Means over all strata, and the difference within them with its limits.
    """
    production, candidate = _weighted(strata)
    if production is None or candidate is None:
        return Limits(_shown(rule, production), _shown(rule, candidate), None, None, None)
    lower_alpha, upper_alpha = (alpha_harm, alpha_safe) if rule.better == "lower" else (alpha_safe, alpha_harm)
    if rule.estimator == "rate":
        low, high = _bets(rule, strata, planned, lower_alpha, upper_alpha)
        return Limits(production, candidate, candidate - production, low, high)
    return _sequence(rule, strata, lower_alpha, upper_alpha, least, (production, candidate))


def judged(rule: MetricRule, found: Limits, following: float) -> CanaryMetric:
    """Turn limits into an outcome.

    Args:
        rule: The metric.
        found: Its limits.
        following: The next share of the users; 1.0 for everybody.

    Returns:
        The metric. A guardrail: harm (rollback), safe (may advance), unclear, or missing (no value in an arm: never
        safe). A goal: better, unclear or missing.
    """
    neutral = 1.0 if rule.ratio else 0.0
    margin, harmful = rule.margin_at(following), rule.limit(rule.tolerance)
    sign = 1.0 if rule.better == "lower" else -1.0
    near, far = (found.lower, found.upper) if rule.better == "lower" else (found.upper, found.lower)
    if found.difference is None:
        outcome = "missing"
    elif rule.role == "goal":
        outcome = "better" if far is not None and sign * far < sign * neutral else "unclear"
    elif near is not None and sign * near > sign * harmful:
        outcome = "harm"
    elif rule.free_at(following) or (far is not None and sign * far < sign * margin):
        outcome = "safe"
    else:
        outcome = "unclear"
    return CanaryMetric.model_validate(
        {
            "name": rule.name,
            "role": rule.role,
            "better": rule.better,
            "scale": "ratio" if rule.ratio else "difference",
            "production": found.production,
            "candidate": found.candidate,
            "difference": found.difference,
            "lower": found.lower,
            "upper": found.upper,
            "margin": margin,
            "outcome": outcome,
        }
    )


def _bets(
    rule: MetricRule, strata: Sequence[Arms], planned: Sequence[float], alpha_lower: float, alpha_upper: float
) -> tuple[float, float]:
    from flywheel.components.statistics.coupled_bets import Stratum, difference_limits

    parts = [
        Stratum.of(arms[0], arms[1], share)
        for arms, share in zip(strata, planned, strict=True)
        if len(arms[0]) and len(arms[1])
    ] or [Stratum.of((), (), planned[0])]
    harm, safe = stakes(rule)
    lower, upper = (harm, safe) if rule.better == "lower" else (safe, harm)
    low, high = difference_limits(parts, alpha_lower, alpha_upper, lower, upper)
    return float(low), float(high)


def stakes(rule: MetricRule) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the stakes that show harm (half as much again as may be promoted) and safety (no change at all)."""
    from flywheel.components.statistics.coupled_bets import stake_weights

    return (
        stake_weights(min(1.5 * rule.margin - rule.tolerance, 1.0), rule.variance),
        stake_weights(min(rule.margin, 1.0), rule.variance),
    )


def _sequence(
    rule: MetricRule,
    strata: Sequence[Arms],
    alpha_lower: float,
    alpha_upper: float,
    least: int,
    means: tuple[float, float],
) -> Limits:
    from flywheel.components.statistics.stratified_sequence import stratified_difference

    found = stratified_difference(strata, alpha_lower, alpha_upper, expected_size(rule))
    first, second = math.exp(means[0]), math.exp(means[1])
    if found is None or found.smaller_arm < least or not math.isfinite(found.lower + found.upper):
        return Limits(first, second, math.exp(means[1] - means[0]), None, None)
    ratio, low, high = (math.exp(min(value, 50.0)) for value in (found.difference, found.lower, found.upper))
    return Limits(first, second, ratio, low, high)


def expected_size(rule: MetricRule) -> float:
    """Effective size at which the limits of a mean log are tightest: where they are about the margin away."""
    return 10.0 * rule.variance / rule.effect(rule.margin) ** 2


def _weighted(strata: Sequence[Arms]) -> tuple[float | None, float | None]:
    """Means of both arms, strata weighted alike in both, so that their difference is the strata's difference."""
    both = [
        (len(first) * len(second) / (len(first) + len(second)), float(np.mean(first)), float(np.mean(second)))
        for first, second in strata
        if len(first) and len(second)
    ]
    if both:
        total = sum(weight for weight, _, _ in both)
        return sum(w * mean for w, mean, _ in both) / total, sum(w * mean for w, _, mean in both) / total
    alone = [[value for arms in strata for value in arms[arm]] for arm in (0, 1)]
    production, candidate = (float(np.mean(values)) if values else None for values in alone)
    return production, candidate


def _shown(rule: MetricRule, mean: float | None) -> float | None:
    return math.exp(mean) if rule.ratio and mean is not None else mean

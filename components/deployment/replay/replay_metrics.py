"""Canary metrics that replay measures directly, paired on the same prompts: errors, latency, tokens (cost).

The unit is the user: a user's value is the mean over the user's prompts, as in the canary. Latency here is that of a
single answer without load; what load adds, replay cannot see.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from flywheel.components.contracts.prediction import PredictedMetric
from flywheel.components.statistics.binomial_bounds import clopper_pearson

LEAST_USERS = 10  # with a measured ratio; the interval is Student's t on per-user means

Floats = NDArray[np.float64]


def error_difference(
    name: str,
    users: Sequence[str],
    production: Sequence[bool],
    candidate: Sequence[bool],
    margin: float | None = None,
    confidence: float = 0.95,
) -> PredictedMetric:
    """Predict the change of the error rate from failures on the same prompts.

    Only users whose failures differ between the models count: the limits are those of the share of users on whom the
    candidate fails more, minus the share on whom it fails less, each exact (Clopper-Pearson) with half the error; a
    user's difference lies between 1 / (prompts of that user) and 1, which the limits allow for. No failure at all is
    no proof of none.

    Args:
        name: Name of the metric.
        users: User of each prompt.
        production: Whether production failed on each prompt.
        candidate: Whether the candidate failed.
        margin: Margin of the canary, for the record.
        confidence: Coverage of the interval, in (0, 1).

    Returns:
        The prediction; `missing` without prompts.
    """
    if not users:
        return _missing(name, "difference", "no-prompts: nothing was replayed", margin, confidence)
    before, after = _means(users, np.asarray(production, float)), _means(users, np.asarray(candidate, float))
    change, count = after - before, before.size
    most = max(np.unique(list(users), return_counts=True)[1])
    each = (1 + confidence) / 2
    worse = clopper_pearson(int((change > 0).sum()), count, each)
    better = clopper_pearson(int((change < 0).sum()), count, each)
    estimate = float(change.mean())
    return PredictedMetric(
        name=name,
        status="predicted",
        method="measured: failures on the same prompts, exact limits over users",
        prompts=len(users),
        users=count,
        production=float(before.mean()),
        candidate=float(after.mean()),
        difference=estimate,
        lower=max(-1.0, min(estimate, worse.lower / most - better.upper)),
        upper=min(1.0, max(estimate, worse.upper - better.lower / most)),
        confidence=confidence,
        spread_production=float(before.std()),
        spread_candidate=float(after.std()),
        margin=margin,
    )


def ratio_of_geometric_means(
    name: str,
    users: Sequence[str],
    production: Sequence[float | None],
    candidate: Sequence[float | None],
    method: str,
    margin: float | None = None,
    confidence: float = 0.95,
) -> PredictedMetric:
    """Predict a ratio of geometric means (latency, tokens) from values on the same prompts.

    Args:
        name: Name of the metric.
        users: User of each prompt.
        production: Positive values of production; None where there is none.
        candidate: Values of the candidate, likewise.
        method: How the values were measured, in words.
        margin: Margin of the canary, for the record.
        confidence: Coverage of the interval, in (0, 1).

    Returns:
        The prediction, paired by prompt and clustered by user; `missing` with fewer than 10 users.

    Raises:
        ValueError: A value is not positive.
    """
    from scipy import special

    pairs = [
        (user, one, other)
        for user, one, other in zip(users, production, candidate, strict=True)
        if one is not None and other is not None
    ]
    if any(not (one > 0 and other > 0 and math.isfinite(one + other)) for _, one, other in pairs):
        raise ValueError(f"{name}: values must be positive numbers")
    names = [user for user, _, _ in pairs]
    count = len(set(names))
    if count < LEAST_USERS:
        return _missing(
            name, "ratio", f"too-few-users: measured on {count} users, {LEAST_USERS} are needed", margin, confidence
        )
    before = _means(names, np.log([one for _, one, _ in pairs]))
    after = _means(names, np.log([other for _, _, other in pairs]))
    change = after - before
    estimate = float(change.mean())
    # A sample without any difference is no proof of none: two users at twice and at half the value are added.
    variance = float(change.var(ddof=1)) / count + 2 * math.log(2) ** 2 / count**2
    half = float(special.stdtrit(count - 1, 0.5 + confidence / 2)) * math.sqrt(variance)
    return PredictedMetric(
        name=name,
        scale="ratio",
        status="predicted",
        method=f"measured: {method}; Student's t on users' mean logs",
        prompts=len(pairs),
        users=count,
        production=math.exp(float(before.mean())),
        candidate=math.exp(float(after.mean())),
        difference=math.exp(estimate),
        lower=math.exp(estimate - half),
        upper=math.exp(estimate + half),
        confidence=confidence,
        spread_production=float(before.std(ddof=1)),
        spread_candidate=float(after.std(ddof=1)),
        margin=margin,
    )


def _means(users: Sequence[str], values: Floats) -> Floats:
    """Mean of each user, users in the order of their names."""
    _, codes = np.unique(list(users), return_inverse=True)
    return np.asarray(np.bincount(codes, weights=values) / np.bincount(codes))


def _missing(name: str, scale: str, reason: str, margin: float | None, confidence: float) -> PredictedMetric:
    return PredictedMetric.model_validate(
        {
            "name": name,
            "scale": scale,
            "status": "missing",
            "reason": reason,
            "margin": margin,
            "confidence": confidence,
        }
    )

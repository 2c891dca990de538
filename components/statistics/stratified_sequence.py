"""Asymptotic confidence sequence of a difference of means within strata: users are only compared with their like.

Stratum k gives the difference of its two means and the effective size ``w_k = n_k m_k / (n_k + m_k)``. The estimate is
their average weighted by ``w_k``: its increments are those of one Brownian motion in the time ``sum w_k`` whatever the
traffic share of each stratum, so the sequence of ``confidence_sequence`` holds for it. What changes between strata (the
day, who was there before) is in both arms of a stratum and cancels.

Source: Waudby-Smith et al., arXiv:2103.06476, theorem 2.2; the weights are Cochran's (1954), Biometrics 10:417.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from flywheel.components.statistics.checked import FloatArray, sample
from flywheel.components.statistics.confidence_sequence import asymptotic_half_width, rho_for


@dataclass(frozen=True)
class StratifiedDifference:
    """Candidate's mean minus production's mean, and limits that hold at every look.

    Attributes:
        difference: Weighted average of the strata's differences.
        lower: One-sided lower limit; minus infinity where nothing varies.
        upper: One-sided upper limit.
        effective: Effective size, sum of ``n m / (n + m)``.
        smaller_arm: Users in the smaller arm over all strata that count.
    """

    difference: float
    lower: float
    upper: float
    effective: float
    smaller_arm: int


def stratified_difference(
    strata: Sequence[tuple[ArrayLike, ArrayLike]], alpha_lower: float, alpha_upper: float, n_star: float
) -> StratifiedDifference | None:
    """Compare two arms within strata.

    Args:
        strata: One value per user of (production, candidate) by stratum; strata with fewer than two users in an arm
            do not count.
        alpha_lower: Chance that the lower limit is ever above the truth, in (0, 1).
        alpha_upper: Chance that the upper limit is ever below the truth, in (0, 1).
        n_star: Effective size at which the limits shall be tightest; fixed before the first look.

    Returns:
        Estimate and limits; None when no stratum counts. Asymptotic: not to be used below some twenty users an arm.

    Raises:
        ValueError: A value is NaN or infinite, or an argument is out of range.
    """
    parts = []
    for number, (production, candidate) in enumerate(strata):
        first = sample(production, f"production, stratum {number}", least=0)
        second = sample(candidate, f"candidate, stratum {number}", least=0)
        if min(first.size, second.size) >= 2:
            parts.append((first.size, first.mean(), first.var(ddof=1), second.size, second.mean(), second.var(ddof=1)))
    if not parts:
        return None
    n_a, mean_a, var_a, n_b, mean_b, var_b = (np.asarray(one, dtype=np.float64) for one in zip(*parts, strict=True))
    middle, low, high, effective = stratified_limits(
        n_a, mean_a, var_a, n_b, mean_b, var_b, alpha_lower, alpha_upper, n_star
    )
    smaller = int(min(n_a.sum(), n_b.sum()))
    return StratifiedDifference(float(middle), float(low), float(high), float(effective), smaller)


def stratified_limits(
    n_a: FloatArray,
    mean_a: FloatArray,
    var_a: FloatArray,
    n_b: FloatArray,
    mean_b: FloatArray,
    var_b: FloatArray,
    alpha_lower: float,
    alpha_upper: float,
    n_star: float,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """``stratified_difference`` from sufficient statistics, for whole arrays of simulated worlds.

    Args:
        n_a: Users of production by stratum, shape (..., strata); strata with fewer than two in an arm do not count.
        mean_a: Means of production.
        var_a: Sample variances of production.
        n_b: Users of the candidate.
        mean_b: Means of the candidate.
        var_b: Sample variances of the candidate.
        alpha_lower: Error rate of the lower limit, in (0, 1).
        alpha_upper: Error rate of the upper limit, in (0, 1).
        n_star: Effective size at which the limits shall be tightest.

    Returns:
        Difference, lower limit, upper limit and effective size, shape (...); infinite limits where nothing varies.
    """
    both = (n_a >= 2) & (n_b >= 2)
    weights = np.where(both, n_a * n_b / np.maximum(n_a + n_b, 1), 0.0)
    effective = weights.sum(axis=-1)
    share = weights / np.maximum(effective, 1e-300)[..., None]
    middle = (share * np.where(both, mean_b - mean_a, 0.0)).sum(axis=-1)
    # The larger variance for both arms: a small arm that was lucky so far shows too little of its own.
    variance = (share * np.where(both, np.maximum(var_a, var_b), 0.0)).sum(axis=-1)
    low, high = (
        np.where(
            variance > 0,
            asymptotic_half_width(variance, effective, rho_for(n_star, alpha, "one"), alpha, "one"),
            math.inf,
        )
        for alpha in (alpha_lower, alpha_upper)
    )
    return middle, middle - low, middle + high, effective

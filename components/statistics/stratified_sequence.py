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

from flywheel.components.statistics.checked import sample
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
    weights, differences, variances, sizes = [], [], [], []
    for number, (production, candidate) in enumerate(strata):
        first = sample(production, f"production, stratum {number}", least=0)
        second = sample(candidate, f"candidate, stratum {number}", least=0)
        if min(first.size, second.size) < 2:
            continue
        weights.append(first.size * second.size / (first.size + second.size))
        differences.append(float(second.mean() - first.mean()))
        # The larger variance for both: a small arm that was lucky so far shows too little of its own.
        variances.append(max(float(first.var(ddof=1)), float(second.var(ddof=1))))
        sizes.append((first.size, second.size))
    if not weights:
        return None
    share = np.asarray(weights) / sum(weights)
    middle, variance, effective = float(share @ differences), float(share @ variances), float(sum(weights))
    low, high = (
        float(asymptotic_half_width(variance, effective, rho_for(n_star, alpha, "one"), alpha, "one"))
        if variance > 0
        else math.inf
        for alpha in (alpha_lower, alpha_upper)
    )
    smaller = min(sum(first for first, _ in sizes), sum(second for _, second in sizes))
    return StratifiedDifference(middle, middle - low, middle + high, effective, smaller)

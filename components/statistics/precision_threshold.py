"""The laxest score threshold whose precision is guaranteed: what may be accepted without a human look.

Picking the lowest threshold that looks good on the calibration set misses its target about half the time. Here
thresholds are tested from strict to lax at pre-set acceptance fractions, each with the exact binomial test, and a
failure stops the walk (fallback procedure with a few starts that share delta). Source: Angelopoulos et al. (2021),
"Learn then Test", arXiv:2110.01052 (fixed-sequence testing of risk); Wiens & Dmitrienko (2005), J. Biopharm. Stat.
15:929 (fallback procedure); Clopper & Pearson (1934).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from flywheel.components.statistics.binomial_bounds import lower_bound
from flywheel.components.statistics.checked import fraction, sample

FRACTIONS = (0.05, 0.10, 0.15, *(round(0.20 + 0.02 * step, 2) for step in range(41)))
"""Acceptance fractions tried, strict to lax: 5%, 10%, 15%, then every 2% from 20% to 100%."""

STARTS = {0.05: 0.2, 0.10: 0.2, 0.20: 0.6}
"""Share of delta that each start of the walk brings along; fixed in advance, sums to 1."""


@dataclass(frozen=True)
class ThresholdChoice:
    """A threshold and what the calibration set says about it.

    Attributes:
        threshold: Accept when ``score >= threshold``; None means that no threshold could be guaranteed: abstain.
        coverage: Share of the calibration set that is accepted; 0 when abstaining.
        precision: Share of the accepted that is correct; None when abstaining.
        lower_bound: One-sided Clopper-Pearson limit of the precision at 1 - delta; None when abstaining.
        n: Calibration items accepted.
    """

    threshold: float | None
    coverage: float
    precision: float | None
    lower_bound: float | None
    n: int


def choose_threshold(
    scores: ArrayLike,
    correct: ArrayLike,
    target: float = 0.90,
    delta: float = 0.10,
    fractions: Sequence[float] = FRACTIONS,
    starts: Mapping[float, float] | None = None,
    pool_scores: ArrayLike | None = None,
) -> ThresholdChoice:
    """Choose the laxest threshold whose precision is at least ``target``, wrong with probability at most ``delta``.

    The guarantee: over calibration sets, the chosen threshold's true precision is below target in at most a share
    delta of runs (abstaining is never wrong). Thresholds are score quantiles. With ``pool_scores`` (unlabelled
    scores, independent of the calibration set) they are fixed before the labels are seen and the guarantee has no
    further assumption. Without, they come from the calibration scores themselves, and the guarantee holds when
    scores are continuous and the chance of being correct does not fall with the score: given the number m of
    items above the true cut, a threshold below it accepts those m, correct with probability target, and others
    that are each correct with less, so the correct ones are stochastically no more than Binomial(n, target).

    Args:
        scores: Scores of the calibration items, higher is surer, shape (n,); independent items.
        correct: 1 where accepting the item is right, else 0, shape (n,).
        target: Precision to guarantee in (0, 1).
        delta: Chance of missing the target in (0, 1).
        fractions: Acceptance fractions in (0, 1], strictly rising; fixed in advance.
        starts: Share of delta that each fraction brings along, summing to at most 1; None takes ``STARTS`` for the
            default fractions and the first fraction otherwise.
        pool_scores: Unlabelled scores of the same population, shape (m,).

    Returns:
        The choice; ``threshold`` is None when nothing can be guaranteed.

    Raises:
        ValueError: If inputs are empty, NaN, of different lengths or out of range.
    """
    score, label = sample(scores, "scores"), sample(correct, "correct", 0, 1)
    if score.size != label.size:
        raise ValueError(f"scores and correct differ in length: {score.size} and {label.size}")
    if not np.isin(label, (0, 1)).all():
        raise ValueError("correct must hold 0 and 1 only")
    fraction(target, "target")
    fraction(delta, "delta")
    walk = _walk(fractions, starts)
    ranked = np.sort(score if pool_scores is None else sample(pool_scores, "pool_scores"))[::-1]
    best: ThresholdChoice | None = None
    carried = 0.0
    for part, share in walk:
        carried += share * delta
        threshold = float(ranked[max(0, math.ceil(part * ranked.size - 1e-9) - 1)])
        accepted = score >= threshold
        n, right = int(accepted.sum()), int(label[accepted].sum())
        if n and carried > 0 and lower_bound(right, n, 1 - carried) >= target:
            best = ThresholdChoice(threshold, n / score.size, right / n, lower_bound(right, n, 1 - delta), n)
        else:
            carried = 0.0
    return best or ThresholdChoice(None, 0.0, None, None, 0)


def _walk(fractions: Sequence[float], starts: Mapping[float, float] | None) -> list[tuple[float, float]]:
    """Fractions in order with the share of delta that each brings along."""
    parts = sample(fractions, "fractions", 0, 1)
    if parts.min() <= 0 or (np.diff(parts) <= 0).any():
        raise ValueError("fractions must rise strictly within (0, 1]")
    if starts is None:
        starts = STARTS if tuple(fractions) == FRACTIONS else {float(parts[0]): 1.0}
    if not set(starts) <= set(parts.tolist()):
        raise ValueError(f"starts {sorted(starts)} must be among the fractions")
    shares = sample(list(starts.values()), "shares of delta", 0, 1)
    if shares.sum() > 1 + 1e-9:
        raise ValueError(f"shares of delta must sum to at most 1, got {shares.sum()}")
    return [(part, starts.get(part, 0.0)) for part in parts.tolist()]

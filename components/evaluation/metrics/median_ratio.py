"""Median of paired ratios with exact limits from order statistics: what is left of latency when the machine is noisy.

Source: Dixon & Mood (1946), JASA 41:557 (sign test); Thompson (1936), Ann. Math. Stat. 7:122 (limits of the median).
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from flywheel.components.evaluation.metrics.finding import Finding, Levels

Column = NDArray[np.float64]


def compare(candidate: Column, production: Column, max_ratio: float, levels: Levels) -> Finding:
    """Compare latency by the median over items of candidate over production.

    Distribution-free: outliers weigh as much as any other item. Items are independent requests.

    Args:
        candidate: Positive values, shape (n,), milliseconds.
        production: Positive values on the same items, shape (n,), milliseconds.
        max_ratio: Largest tolerable ratio, above 1.
        levels: Error rate and power.

    Returns:
        The finding; limits are infinite (or 0) while there are too few items to have any.

    Raises:
        ValueError: No items, or values that are not positive.
    """
    if candidate.size == 0 or candidate.size != production.size:
        raise ValueError(f"paired latencies differ in length or are empty: {candidate.size}, {production.size}")
    if not (
        np.isfinite(candidate).all() and np.isfinite(production).all() and min(candidate.min(), production.min()) > 0
    ):
        raise ValueError("latencies must be positive and finite")
    ratios = np.sort(candidate / production)
    n = int(ratios.size)
    # Fewest order statistics to give away so that the median lies beyond them with probability at most alpha.
    given = int(stats.binom.ppf(levels.alpha, n, 0.5))
    if stats.binom.cdf(given, n, 0.5) > levels.alpha:
        given -= 1
    above, below = int((ratios >= max_ratio).sum()), int((ratios <= max_ratio).sum())
    return Finding(
        scale="ratio",
        unit="ms, median of single requests",
        direction="lower",
        n=n,
        clusters=n,
        production=float(np.median(production)),
        candidate=float(np.median(candidate)),
        value=float(np.exp(np.median(np.log(ratios)))),
        lower=float(ratios[given]) if given >= 0 else 0.0,
        upper=float(ratios[n - 1 - given]) if given >= 0 else math.inf,
        test="sign test of paired ratios, single requests in turns (Dixon & Mood 1946)",
        p_superior=None,
        p_safe=float(stats.binom.cdf(above, n, 0.5)),
        p_harm=float(stats.binom.cdf(below, n, 0.5)),
        n_needed=lambda: _needed((n - above + 0.5) / (n + 1), levels),
    )


def _needed(share: float, levels: Levels) -> int | None:
    """Items at which the sign test shows the median below the limit, if `share` of the ratios lie below it."""
    if share <= 0.5:
        return None
    spread = stats.norm.isf(levels.alpha) * 0.5 + stats.norm.isf(1 - levels.power) * math.sqrt(share * (1 - share))
    fewest = math.ceil(-math.log2(levels.alpha))
    return max(fewest, math.ceil((float(spread) / (share - 0.5)) ** 2))

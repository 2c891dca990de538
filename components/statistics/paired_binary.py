"""Right-or-wrong outcomes of two models on the same items.

Only the discordant pairs carry information about the difference: ``b`` items that production gets right
and the candidate wrong (negative flips), ``c`` items the other way round, of ``n`` items in all.

Source: McNemar (1947), Psychometrika 12:153; Tango (1998), Stat. Med. 17:891 (score interval);
Nam (1997), Biometrics 53:1422 (restricted estimate); Hsueh, Liu & Chen (2001), Biometrics 57:478
(exact unconditional non-inferiority); Berger & Boos (1994), JASA 89:1012 (bounded nuisance).
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from flywheel.components.statistics.binomial_bounds import clopper_pearson
from flywheel.components.statistics.checked import FloatArray, choice, count, fraction
from flywheel.components.statistics.interval import Interval

_NUISANCE_RISK = 1e-4
"""Berger-Boos gamma: chance, added to the p-value, that the true negative-flip rate leaves its interval."""

_NEGLIGIBLE = 1e-12
"""Binomial tail left out of the exact sum; it is added back to the p-value."""


def mcnemar_exact(b: int, c: int, alternative: str = "two-sided") -> float:
    """Exact McNemar test that the candidate and production are right equally often.

    Args:
        b: Items that production gets right and the candidate wrong.
        c: Items that production gets wrong and the candidate right.
        alternative: ``greater`` (candidate better), ``less`` (candidate worse) or ``two-sided``.

    Returns:
        p-value; 1 when there are no discordant pairs.

    Raises:
        ValueError: If a count or the alternative is invalid.
    """
    b, c = count(b, "b"), count(c, "c")
    choice(alternative, "alternative", ("two-sided", "greater", "less"))
    if alternative == "greater":
        return float(stats.binom.sf(c - 1, b + c, 0.5))
    if alternative == "less":
        return float(stats.binom.cdf(c, b + c, 0.5))
    return min(1.0, 2 * float(stats.binom.cdf(min(b, c), b + c, 0.5)))


def superiority_p(b: int, c: int) -> float:
    """One-sided exact McNemar p-value of "the candidate is right more often than production".

    Args:
        b: Items that production gets right and the candidate wrong.
        c: Items that production gets wrong and the candidate right.

    Returns:
        p-value.

    Raises:
        ValueError: If a count is invalid.
    """
    return mcnemar_exact(b, c, "greater")


def tango_interval(b: int, c: int, n: int, confidence: float = 0.95) -> Interval:
    """Tango's score interval of the difference in accuracy, candidate minus production.

    Keeps its coverage with few or no discordant pairs, where the Wald interval collapses to a point.

    Args:
        b: Items that production gets right and the candidate wrong.
        c: Items that production gets wrong and the candidate right.
        n: Items in all, at least ``b + c``; independent.
        confidence: Coverage in (0, 1).

    Returns:
        Interval of the difference, within [-1, 1].

    Raises:
        ValueError: If the counts or the confidence are out of range.
    """
    b, c, n = _table(b, c, n)
    z = float(stats.norm.isf((1 - fraction(confidence, "confidence")) / 2))
    lower, upper = score_limits(b, c, n, z)
    return Interval(lower, upper, float(confidence))


def noninferiority_p(b: int, c: int, n: int, margin: float, method: str = "exact") -> float:
    """One-sided p-value of "the candidate's accuracy is above production's minus the margin".

    H0: ``p_candidate - p_production <= -margin``. Both methods rank tables by the Tango/Nam score statistic.
    ``score`` refers it to the normal distribution, which is too generous when flips are rare (true size 0.061 at
    a nominal 0.05 for n = 135, margin 0.02 and hardly any positive flips). ``exact`` sums the trinomial
    probability of all tables at least as favourable and takes the worst negative-flip rate of a 99.99% interval:
    its error rate is guaranteed at every n. It is the default, costs about a millisecond and never falls below
    0.0001.

    Args:
        b: Items that production gets right and the candidate wrong.
        c: Items that production gets wrong and the candidate right.
        n: Items in all, at least ``b + c``; independent (for clustered items use ``paired_clusters``).
        margin: Largest tolerable loss of accuracy, in (0, 1).
        method: ``exact`` or ``score``.

    Returns:
        p-value; small means non-inferior.

    Raises:
        ValueError: If the counts, the margin or the method are invalid.
    """
    b, c, n = _table(b, c, n)
    margin = fraction(margin, "margin")
    if choice(method, "method", ("exact", "score")) == "score":
        return float(stats.norm.sf(score_statistic(b, c, n, -margin)))
    return _exact_noninferiority(b, c, n, margin)


def score_statistic(b: ArrayLike, c: ArrayLike, n: ArrayLike, difference: ArrayLike) -> FloatArray:
    """Tango's score statistic of ``H0: p_candidate - p_production = difference``.

    Args:
        b: Negative flips; any broadcastable shape; may be fractional (counts of an effective sample).
        c: Positive flips.
        n: Items.
        difference: Hypothesised difference in [-1, 1].

    Returns:
        Statistic, standard normal under H0, rising with ``c`` and falling with ``b``; broadcast shape.
    """
    b, c, n, d = (np.asarray(value, dtype=np.float64) for value in (b, c, n, difference))
    # Restricted maximum-likelihood estimate of the negative-flip rate given the difference.
    half = -(b + c) + (2 * n - c + b) * d
    rest = -b * d * (1 - d)
    flips = (np.sqrt(np.maximum(half * half - 8 * n * rest, 0)) - half) / (4 * n)
    flips = np.clip(flips, np.maximum(0, -d), (1 - d) / 2)
    variance = np.maximum(n * (2 * flips + d * (1 - d)), 0)
    distance = c - b - n * d
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(distance == 0, 0.0, distance / np.sqrt(variance))


def score_limits(b: float, c: float, n: float, z: float) -> tuple[float, float]:
    """Limits where Tango's score statistic reaches ``z`` and ``-z``.

    Args:
        b: Negative flips; may be fractional (counts of an effective sample).
        c: Positive flips.
        n: Items, positive.
        z: Critical value, positive (normal or Student quantile).

    Returns:
        Lower and upper limit of the difference, within [-1, 1].
    """
    estimate = (c - b) / n
    edge = 1 - 1e-12
    lower, upper = -1.0, 1.0
    if estimate > -edge:
        lower = float(optimize.brentq(lambda d: min(float(score_statistic(b, c, n, d)), 1e9) - z, -edge, estimate))
    if estimate < edge:
        upper = float(optimize.brentq(lambda d: max(float(score_statistic(b, c, n, d)), -1e9) + z, estimate, edge))
    return lower, upper


@lru_cache(maxsize=65536)
def _exact_noninferiority(b: int, c: int, n: int, margin: float) -> float:
    """Exact unconditional p-value: worst case over the negative-flip rate within its Berger-Boos interval."""
    observed = float(score_statistic(b, c, n, -margin))
    plausible = clopper_pearson(b, n, 1 - _NUISANCE_RISK)
    low, high = max(plausible.lower, margin), plausible.upper
    if low > high:  # H0 needs a negative-flip rate of at least the margin, and the data rule that out
        return _NUISANCE_RISK
    first = int(stats.binom.ppf(_NEGLIGIBLE, n, low))
    last = int(stats.binom.isf(_NEGLIGIBLE, n, high))
    flips = np.arange(first, last + 1)
    needed = _positive_flips_needed(flips, n, margin, observed)
    rates = np.linspace(low, high, 33)
    tail = _region_probability(rates, flips, needed, n, margin)
    best, step = rates[int(tail.argmax())], (high - low) / 32
    close = np.linspace(max(low, best - step), min(high, best + step), 17)
    worst = max(float(tail.max()), float(_region_probability(close, flips, needed, n, margin).max()))
    return min(1.0, worst + _NUISANCE_RISK + 2 * _NEGLIGIBLE)


def _positive_flips_needed(flips: np.ndarray, n: int, margin: float, observed: float) -> np.ndarray:
    """Fewest positive flips, for each number of negative flips, that look at least as good as the data."""
    low, high = np.zeros_like(flips), n - flips + 1
    while (low < high).any():
        middle, active = (low + high) // 2, low < high
        enough = score_statistic(flips, middle, n, -margin) >= observed - 1e-9
        high = np.where(active & enough, middle, high)
        low = np.where(active & ~enough, middle + 1, low)
    # More negative flips never need fewer positive ones (Barnard convexity): closing the region keeps it valid.
    needed = np.where(high > n - flips, n + 1, high)
    return np.minimum.accumulate(needed[::-1])[::-1]


def _region_probability(rates: FloatArray, flips: np.ndarray, needed: np.ndarray, n: int, margin: float) -> FloatArray:
    """Probability of the favourable region for each negative-flip rate, with the most positive flips H0 allows."""
    q = rates[:, None]
    choose = special.gammaln(n + 1) - special.gammaln(flips + 1) - special.gammaln(n - flips + 1)
    mass = np.exp(choose + special.xlogy(flips, q) + special.xlog1py(n - flips, -q))
    rest = n - flips
    chance = np.clip((q - margin) / np.maximum(1 - q, 1e-300), 0, 1)
    tail = special.betainc(np.maximum(needed, 1), np.maximum(rest - needed + 1, 1), chance)
    tail = np.where(needed <= 0, 1.0, np.where(needed > rest, 0.0, tail))
    return (mass * tail).sum(axis=1)


def _table(b: int, c: int, n: int) -> tuple[int, int, int]:
    b, c, n = count(b, "b"), count(c, "c"), count(n, "n", least=1)
    if b + c > n:
        raise ValueError(f"discordant pairs b + c = {b + c} exceed the {n} items")
    return b, c, n

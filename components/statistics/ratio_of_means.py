"""How much slower, dearer or longer: paired ratios of means and of quantiles.

Latency, cost and length are positive and skewed, and their margins are relative ("at most 10% slower"), so the
comparison is a ratio. Source: Deng, Knoblich & Lu (2018), arXiv:1803.06336 (delta method for clustered ratios);
Efron & Tibshirani (1993), An Introduction to the Bootstrap (percentile interval, whole clusters drawn).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from flywheel.components.statistics.checked import FloatArray, IntArray, cluster_codes, count, fraction, pair
from flywheel.components.statistics.cluster_mean import ClusterMean, cluster_mean
from flywheel.components.statistics.interval import Interval
from flywheel.components.statistics.paired_clusters import Clusters

_BEYOND = 5
"""Items that must lie beyond the quantile, on its rarer side, for the bootstrap to mean anything."""

_CELLS = 4_000_000
"""Largest block of resampled cluster weights held in memory at once."""


@dataclass(frozen=True)
class RatioResult:
    """Paired ratio of means, candidate over production.

    Attributes:
        ratio: Mean of the candidate over mean of production; 1.1 is 10% more.
        interval: Two-sided interval of the ratio.
        log_standard_error: Cluster-robust standard error of the log ratio.
        n: Items.
        clusters: Clusters.
    """

    ratio: float
    interval: Interval
    log_standard_error: float
    n: int
    clusters: int


@dataclass(frozen=True)
class QuantileResult:
    """Paired comparison of one quantile of both arms.

    Attributes:
        q: Probability of the quantile.
        candidate: Candidate's quantile, in the unit of the values.
        production: Production's quantile, in the unit of the values.
        ratio: Candidate's over production's quantile.
        ratio_interval: Two-sided interval of the ratio.
        difference: Candidate's minus production's quantile.
        difference_interval: Two-sided interval of the difference.
        n: Items.
        clusters: Clusters.
    """

    q: float
    candidate: float
    production: float
    ratio: float
    ratio_interval: Interval
    difference: float
    difference_interval: Interval
    n: int
    clusters: int


def paired_log_ratio(
    candidate: ArrayLike, production: ArrayLike, clusters: Clusters = None, confidence: float = 0.95
) -> RatioResult:
    """Ratio of means with a cluster-robust interval by the delta method on the log scale.

    Args:
        candidate: Candidate's values, not negative, shape (n,), for example seconds or tokens.
        production: Production's values on the same items, shape (n,).
        clusters: Cluster label of each item, shape (n,); None makes every item its own cluster.
        confidence: Coverage in (0, 1).

    Returns:
        The ratio, its interval and the standard error of its log.

    Raises:
        ValueError: If inputs are empty, NaN, negative or of different lengths, a mean is zero, or there are fewer
            than two clusters.
    """
    fraction(confidence, "confidence")
    log_ratio, mean = _log_ratio(candidate, production, clusters)
    half = float(stats.t.isf((1 - confidence) / 2, mean.freedom)) * mean.standard_error
    interval = Interval(math.exp(log_ratio - half), math.exp(log_ratio + half), float(confidence))
    return RatioResult(math.exp(log_ratio), interval, mean.standard_error, mean.n, mean.clusters)


def ratio_noninferiority_p(
    candidate: ArrayLike, production: ArrayLike, clusters: Clusters = None, max_ratio: float = 1.1
) -> float:
    """One-sided p-value of "the candidate's mean is below ``max_ratio`` times production's".

    H0: ``mean(candidate) / mean(production) >= max_ratio``. Never below ``2 ** -G``, the smallest p-value that the
    signs of G clusters can give: a constant sample looks free of error however small it is.

    Args:
        candidate: Candidate's values, not negative, smaller is better, shape (n,).
        production: Production's values on the same items, shape (n,).
        clusters: Cluster label of each item, shape (n,); None makes every item its own cluster.
        max_ratio: Largest tolerable ratio, for example 1.1 for 10% slower.

    Returns:
        p-value; small means non-inferior.

    Raises:
        ValueError: As ``paired_log_ratio``, or if ``max_ratio`` is not positive and finite.
    """
    if not (max_ratio > 0 and math.isfinite(max_ratio)):
        raise ValueError(f"max_ratio must be positive and finite, got {max_ratio}")
    log_ratio, mean = _log_ratio(candidate, production, clusters)
    excess = log_ratio - math.log(max_ratio)
    least = 0.5**mean.clusters
    if not mean.variance:
        return least if excess < -1e-12 else 1.0
    return max(least, float(stats.t.cdf(excess / mean.standard_error, mean.freedom)))


def paired_quantile_difference(
    candidate: ArrayLike,
    production: ArrayLike,
    q: float = 0.95,
    clusters: Clusters = None,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> QuantileResult:
    """Compare one quantile, by default the p95, with a percentile bootstrap over whole clusters.

    Args:
        candidate: Candidate's values, not negative, shape (n,).
        production: Production's values on the same items, shape (n,).
        q: Probability of the quantile in (0, 1).
        clusters: Cluster label of each item, shape (n,); None makes every item its own cluster.
        confidence: Coverage in (0, 1).
        resamples: Bootstrap resamples, at least 100.
        seed: Seed of the bootstrap.

    Returns:
        Both quantiles, their ratio and difference with intervals.

    Raises:
        ValueError: If inputs are empty, NaN, negative or of different lengths, fewer than five items are expected
            beyond the quantile (100 items for the p95), production's quantile is zero, or there are fewer than two
            clusters.
    """
    fraction(confidence, "confidence")
    here, draws, total = _quantile_draws(candidate, production, q, clusters, resamples, seed)
    if here[1] == 0 or draws[1].min() == 0:
        raise ValueError(f"production's {q} quantile is zero (or is in a resample), so the ratio has no meaning")
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    ratio = [float(limit) for limit in np.quantile(draws[0] / draws[1], tails)]
    difference = [float(limit) for limit in np.quantile(draws[0] - draws[1], tails)]
    return QuantileResult(
        q=float(q),
        candidate=here[0],
        production=here[1],
        ratio=here[0] / here[1],
        ratio_interval=Interval(ratio[0], ratio[1], float(confidence)),
        difference=here[0] - here[1],
        difference_interval=Interval(difference[0], difference[1], float(confidence)),
        n=int(np.size(candidate)),
        clusters=int(total),
    )


def quantile_noninferiority_p(
    candidate: ArrayLike,
    production: ArrayLike,
    q: float = 0.95,
    clusters: Clusters = None,
    max_ratio: float = 1.1,
    resamples: int = 2000,
    seed: int = 0,
) -> float:
    """One-sided p-value of "the candidate's quantile is below ``max_ratio`` times production's".

    H0: ``Q_candidate(q) / Q_production(q) >= max_ratio``, smaller is better: the share of resamples (whole clusters)
    in which the candidate's quantile is not below ``max_ratio`` times production's, the percentile bootstrap inverted.
    The resampled exceedance is compared, so a production quantile of zero needs no special case.

    Args:
        candidate: Candidate's values, not negative, shape (n,).
        production: Production's values on the same items, shape (n,).
        q: Probability of the quantile in (0, 1).
        clusters: Cluster label of each item, shape (n,); None makes every item its own cluster.
        max_ratio: Largest tolerable ratio, for example 1.1 for 10% slower.
        resamples: Bootstrap resamples, at least 100; the p-value is never below ``1 / (resamples + 1)``.
        seed: Seed of the bootstrap.

    Returns:
        p-value; small means non-inferior.

    Raises:
        ValueError: As ``paired_quantile_difference``, or if ``max_ratio`` is not positive and finite.
    """
    if not (max_ratio > 0 and math.isfinite(max_ratio)):
        raise ValueError(f"max_ratio must be positive and finite, got {max_ratio}")
    _, draws, _ = _quantile_draws(candidate, production, q, clusters, resamples, seed)
    return float(((draws[0] >= max_ratio * draws[1]).sum() + 1) / (draws.shape[1] + 1))


def _quantile_draws(
    candidate: ArrayLike, production: ArrayLike, q: float, clusters: Clusters, resamples: int, seed: int
) -> tuple[list[float], FloatArray, int]:
    """Quantiles of (candidate, production), their bootstrap draws of shape (2, resamples), and the clusters."""
    first, second = pair(candidate, production, low=0)
    codes, total = cluster_codes(clusters, first.size)
    fraction(q, "q")
    count(resamples, "resamples", least=100)
    needed = math.ceil(_BEYOND / min(q, 1 - q) - 1e-9)
    if first.size < needed:
        raise ValueError(f"the {q} quantile needs at least {needed} items, got {first.size}")
    arms = [_Ordered(arm, codes, total, q) for arm in (first, second)]
    rng = np.random.default_rng(seed)
    blocks: list[FloatArray] = []
    block = max(1, _CELLS // total)
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = rng.integers(total, size=(rows, total)) + total * np.arange(rows)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=rows * total).reshape(rows, total).astype(np.float64)
        blocks.append(np.stack([arm.quantile(weights, q) for arm in arms]))
    here = [float(arm.quantile(np.ones((1, total)), q)[0]) for arm in arms]
    return here, np.concatenate(blocks, axis=1), total


class _Ordered:
    """One arm's values in order, for quantiles under many weightings of the clusters.

    Only items whose rank can be the quantile's in some resample are kept one by one; those surely below it enter by
    their number per cluster. A resample that falls outside (it never should) is looked up among all items.
    """

    def __init__(self, values: FloatArray, codes: IntArray, total: int, q: float) -> None:
        order = np.argsort(values, kind="stable")
        self._values, self._codes, self._total = values[order], codes[order], total
        self._sizes = np.bincount(codes, minlength=total).astype(np.float64)
        n = values.size
        beyond = np.bincount(self._codes[math.ceil(q * n) - 1 :], minlength=total)
        spread = math.sqrt(float(((beyond - (1 - q) * self._sizes) ** 2).sum()))
        reach = math.ceil(8 * spread) + 10
        self._start = max(0, math.floor(q * n) - reach)
        self._stop = min(n, math.ceil(q * n) + reach)
        self._below = np.bincount(self._codes[: self._start], minlength=total).astype(np.float64)

    def quantile(self, weights: FloatArray, q: float) -> FloatArray:
        """Smallest value whose cumulated weight reaches ``q``; weights of the clusters, shape (r, G)."""
        goal = q * (weights @ self._sizes) - 1e-9
        mass = weights[:, self._codes[self._start : self._stop]].cumsum(axis=1)
        mass += (weights @ self._below)[:, None]
        place = self._start + (mass < goal[:, None]).sum(axis=1)
        result = self._values[np.minimum(place, self._values.size - 1)]
        outside = np.flatnonzero((place == self._start) | (place >= self._stop))
        for row in outside:
            cumulated = np.cumsum(weights[row, self._codes])
            result[row] = self._values[np.searchsorted(cumulated, goal[row])]
        return np.asarray(result)


def _log_ratio(candidate: ArrayLike, production: ArrayLike, clusters: Clusters) -> tuple[float, ClusterMean]:
    """Log ratio of means and the cluster mean of its influence values ``c/mean(c) - p/mean(p)``."""
    first, second = pair(candidate, production, low=0)
    codes, total = cluster_codes(clusters, first.size)
    if first.mean() == 0 or second.mean() == 0:
        raise ValueError("a mean of zero has no ratio")
    influence = first / first.mean() - second / second.mean()
    if np.abs(influence).max() < 1e-12:  # proportional samples: what is left is rounding
        influence = np.zeros_like(influence)
    return math.log(first.mean() / second.mean()), cluster_mean(influence, codes, total)

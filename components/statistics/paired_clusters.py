"""Difference of means of two models on the same items when items come in clusters.

Source: Miller (2024), arXiv:2411.00640 (paired, clustered evaluation errors); Bell & McCaffrey (2002), Survey
Methodology 28:169 (CR3); Efron (1987), JASA 82:171 (BCa); Obuchowski (1998), Stat. Med. 17:1495 and Rao & Scott
(1992), Biometrics 48:577 (binary outcomes of an effective sample size); Efron & Tibshirani (1993), An Introduction to
the Bootstrap, ch. 14 (BCa limits, here inverted into p-values); Fisher (1935) (sign flips).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from flywheel.components.statistics.checked import (
    FloatArray,
    IntArray,
    choice,
    cluster_codes,
    count,
    fraction,
    pair,
    sample,
)
from flywheel.components.statistics.cluster_mean import ClusterMean, cluster_mean
from flywheel.components.statistics.interval import Interval
from flywheel.components.statistics.paired_binary import noninferiority_p, score_statistic, superiority_p

_METHODS = ("delta", "bootstrap")

Clusters = Sequence[Any] | NDArray[Any] | None

_FEW = 10
"""Fewer clusters with a discordant pair than this say nothing about how a cluster's items hang together."""

_EXACT_CLUSTERS = 13
"""Up to this many clusters all 2^G sign patterns are tried."""

_CELLS = 4_000_000
"""Largest block of resampled cells held in memory at once."""


@dataclass(frozen=True)
class PairedDifference:
    """Paired difference of means, candidate minus production.

    Attributes:
        estimate: Mean difference over items, in the unit of the scores.
        interval: Two-sided interval of the mean difference.
        standard_error: Cluster-robust standard error.
        n: Items.
        clusters: Clusters.
    """

    estimate: float
    interval: Interval
    standard_error: float
    n: int
    clusters: int


def cluster_difference(
    candidate: ArrayLike,
    production: ArrayLike,
    clusters: Clusters = None,
    confidence: float = 0.95,
    method: str = "delta",
    resamples: int = 2000,
    seed: int = 0,
) -> PairedDifference:
    """Estimate the mean of candidate minus production with a cluster-robust interval.

    Args:
        candidate: Candidate's scores, shape (n,).
        production: Production's scores on the same items, shape (n,).
        clusters: Cluster label of each item, shape (n,); None makes every item its own cluster.
        confidence: Coverage in (0, 1).
        method: ``delta`` (linearised jackknife standard error, Student's t) or ``bootstrap`` (BCa over whole clusters).
        resamples: Bootstrap resamples, at least 100.
        seed: Seed of the bootstrap.

    Returns:
        Estimate, interval, standard error and sizes. If every difference is equal the interval is a point;
        ``cluster_noninferiority_p`` knows what such a sample is worth.

    Raises:
        ValueError: If inputs are empty, NaN or of different lengths, or there are fewer than two clusters.
    """
    first, second = pair(candidate, production)
    codes, total = cluster_codes(clusters, first.size)
    fraction(confidence, "confidence")
    differences = first - second
    mean = cluster_mean(differences, codes, total)
    if choice(method, "method", _METHODS) == "delta":
        half = float(stats.t.isf((1 - confidence) / 2, mean.freedom)) * mean.standard_error
        interval = Interval(mean.mean - half, mean.mean + half, float(confidence))
    else:
        interval = _bca(differences, codes, total, confidence, count(resamples, "resamples", least=100), seed)
    return PairedDifference(mean.mean, interval, mean.standard_error, mean.n, mean.clusters)


def sign_flip_p(
    differences: ArrayLike,
    clusters: Clusters = None,
    alternative: str = "two-sided",
    permutations: int = 9999,
    seed: int = 0,
) -> float:
    """Sign-flip permutation test of "which model is which does not matter", flipping whole clusters.

    Up to 13 clusters all sign patterns are tried, beyond that a random sample of them; the p-value of a random
    sample counts the observed pattern, so it is never zero and never too small (Phipson & Smyth 2010).

    Args:
        differences: Candidate minus production per item, shape (n,).
        clusters: Cluster label of each item, shape (n,); None makes every item its own cluster.
        alternative: ``greater`` (candidate better), ``less`` or ``two-sided``.
        permutations: Random sign patterns, at least 99.
        seed: Seed of the sign patterns.

    Returns:
        p-value.

    Raises:
        ValueError: If inputs are empty, NaN or of different lengths, or there are fewer than two clusters.
    """
    values = sample(differences, "differences")
    codes, total = cluster_codes(clusters, values.size)
    choice(alternative, "alternative", ("two-sided", "greater", "less"))
    count(permutations, "permutations", least=99)
    sums = np.bincount(codes, weights=values, minlength=total)
    exact = total <= _EXACT_CLUSTERS
    observed = _direction(np.array([sums.sum()]), alternative)[0]
    tolerance = 1e-9 * float(np.abs(sums).sum())
    hits = tried = 0
    for signs in _all_signs(total) if exact else _random_signs(total, permutations, seed):
        flipped = _direction(signs @ sums, alternative)
        hits += int((flipped >= observed - tolerance).sum())
        tried += flipped.size
    return hits / tried if exact else (hits + 1) / (tried + 1)


def cluster_noninferiority_p(
    candidate: ArrayLike,
    production: ArrayLike,
    clusters: Clusters = None,
    margin: float = 0.02,
    method: str = "delta",
    resamples: int = 2000,
    seed: int = 0,
) -> float:
    """One-sided p-value of "the candidate's mean is above production's minus the margin", clusters respected.

    H0: ``mean(candidate - production) <= -margin``. The p-value is the larger of a test of the mean (``delta``: t with
    the jackknife variance and Satterthwaite's degrees of freedom; ``bootstrap``: BCa over whole clusters, inverted)
    and a test that still works where the first has nothing to measure:

    * outcomes of 0 and 1: the score test on the effective sample ``n / d``, d the upper limit of the design effect
      (`ClusterMean.design_effect_limit`); for independent items, and with fewer than ten clusters that hold a
      discordant pair, the exact test alone, with the worst design effect there can be;
    * other scores without a single loss: ``(1 - margin / span) ** G``, the chance that G clusters hide the loss,
      where span is the width of the score scale (at least 1).

    Simulated false passes at the margin with 0/1 outcomes (nominal 0.05) are at most 0.05 within Monte-Carlo error for
    25 to 1000 users of 1 to 60 items, equal or skewed, ICC 0.3 and 0.8, users alike in part or flipping as one
    (tests/simulation/test_statistics_paired.py). Blind to clusters it would be 0.13 to 0.23; with the estimated design
    effect instead of its limit up to 0.2 when a few users hold most of the items. The limit costs power: plan with 1.4
    times the design effect (0.66 instead of 0.80 at 300 users of 5, ICC 0.3, planned with the design effect itself).

    Args:
        candidate: Candidate's scores, shape (n,).
        production: Production's scores on the same items, shape (n,).
        clusters: Cluster label of each item, shape (n,); None makes every item its own cluster.
        margin: Largest tolerable loss, positive, in the unit of the scores.
        method: ``delta`` or ``bootstrap``.
        resamples: Bootstrap resamples, at least 100.
        seed: Seed of the bootstrap.

    Returns:
        p-value; small means non-inferior.

    Raises:
        ValueError: If inputs are empty, NaN or of different lengths, there are fewer than two clusters, or the
            margin is not positive and finite.
    """
    first, second = pair(candidate, production)
    codes, total = cluster_codes(clusters, first.size)
    if not (margin > 0 and math.isfinite(margin)):
        raise ValueError(f"margin must be positive and finite, got {margin}")
    differences = first - second
    mean = cluster_mean(differences, codes, total)
    choice(method, "method", _METHODS)
    if not mean.variance and mean.mean <= -margin:
        return 1.0
    binary = _binary(first, second) and margin < 1
    if binary and (mean.informative < _FEW or mean.n == mean.clusters):
        return _exact_p(differences, mean, float(margin))
    p = _mean_above_p(differences, codes, mean, -margin, method, resamples, seed) if mean.variance else 0.0
    if binary:
        return max(p, _effective_sample_p(differences, mean, float(margin)))
    if differences.min() >= 0:
        span = max(1.0, float(max(first.max(), second.max()) - min(first.min(), second.min())))
        p = max(p, max(0.0, 1 - margin / span) ** total)
    return p


def cluster_superiority_p(
    candidate: ArrayLike,
    production: ArrayLike,
    clusters: Clusters = None,
    method: str = "delta",
    resamples: int = 2000,
    seed: int = 0,
) -> float:
    """One-sided p-value of "the candidate's mean is above production's", clusters respected.

    H0: ``mean(candidate - production) <= 0``. The larger of the test of the mean (as in ``cluster_noninferiority_p``)
    and, for outcomes of 0 and 1, the score test on the effective sample; for independent items the exact McNemar test
    alone. Never below ``2 ** -G``, the smallest p-value that the signs of G clusters can give.

    Args:
        candidate: Candidate's scores, shape (n,).
        production: Production's scores on the same items, shape (n,).
        clusters: Cluster label of each item, shape (n,); None makes every item its own cluster.
        method: ``delta`` or ``bootstrap``.
        resamples: Bootstrap resamples, at least 100.
        seed: Seed of the bootstrap.

    Returns:
        p-value; small means better.

    Raises:
        ValueError: If inputs are empty, NaN or of different lengths, or there are fewer than two clusters.
    """
    first, second = pair(candidate, production)
    codes, total = cluster_codes(clusters, first.size)
    choice(method, "method", _METHODS)
    differences = first - second
    mean = cluster_mean(differences, codes, total)
    losses, gains = int((differences < 0).sum()), int((differences > 0).sum())
    binary = _binary(first, second)
    if binary and mean.n == mean.clusters:
        return superiority_p(losses, gains)
    least = 0.5**total
    if not mean.variance:
        return least if mean.mean > 0 else 1.0
    p = max(least, _mean_above_p(differences, codes, mean, 0.0, method, resamples, seed))
    if binary:
        deff = mean.design_effect  # flips both ways are alike under H0: no rare loss hides in the estimate
        score = float(score_statistic(losses / deff, gains / deff, mean.n / deff, 0.0))
        p = max(p, float(stats.norm.sf(score)))
    return p


def _binary(first: FloatArray, second: FloatArray) -> bool:
    return bool(((first == 0) | (first == 1)).all() and ((second == 0) | (second == 1)).all())


def _mean_above_p(
    differences: FloatArray,
    codes: IntArray,
    mean: ClusterMean,
    null: float,
    method: str,
    resamples: int,
    seed: int,
) -> float:
    """One-sided p-value of "the mean is above ``null``" by the delta method or by the inverted BCa limit."""
    if choice(method, "method", _METHODS) == "delta":
        return float(stats.t.sf((mean.mean - null) / mean.standard_error, mean.cautious_freedom))
    draws, bias, acceleration = _bca_draws(
        differences, codes, mean.clusters, count(resamples, "resamples", least=100), seed
    )
    below = (draws < null).sum() + 0.5 * (draws == null).sum()
    z = float(stats.norm.ppf((below + 1) / (draws.size + 2))) - bias
    return float(stats.norm.cdf(z / max(1 + acceleration * z, 1e-9) - bias))


def _exact_p(differences: FloatArray, mean: ClusterMean, margin: float) -> float:
    """Exact test of binary pairs on as many items as there are in the worst case, rounded against the candidate."""
    deff = max(1.0, mean.worst_design_effect)
    size = max(1, math.floor(mean.n / deff + 1e-9))
    losses = min(size, math.ceil(float((differences < 0).sum()) / deff - 1e-9))
    gains = min(size - losses, math.floor(float((differences > 0).sum()) / deff + 1e-9))
    return noninferiority_p(losses, gains, size, margin)


def _effective_sample_p(differences: FloatArray, mean: ClusterMean, margin: float) -> float:
    """Score test of binary pairs with all counts divided by the design effect's limit (Rao & Scott)."""
    deff = mean.design_effect_limit()
    b, c, n = (float(value) / deff for value in ((differences < 0).sum(), (differences > 0).sum(), mean.n))
    return float(stats.norm.sf(float(score_statistic(b, c, n, -margin))))


def _bca(
    differences: FloatArray, codes: IntArray, total: int, confidence: float, resamples: int, seed: int
) -> Interval:
    """Bias-corrected and accelerated bootstrap interval of the mean over items, drawing whole clusters."""
    draws, bias, acceleration = _bca_draws(differences, codes, total, resamples, seed)
    z = bias + stats.norm.ppf([(1 - confidence) / 2, (1 + confidence) / 2])
    lower, upper = np.quantile(draws, stats.norm.cdf(bias + z / np.maximum(1 - acceleration * z, 1e-9)))
    return Interval(float(lower), float(upper), float(confidence))


def _bca_draws(
    differences: FloatArray, codes: IntArray, total: int, resamples: int, seed: int
) -> tuple[FloatArray, float, float]:
    """Resampled means, and the bias correction and acceleration of their distribution."""
    sums = np.bincount(codes, weights=differences, minlength=total)
    sizes = np.bincount(codes, minlength=total).astype(np.float64)
    estimate = float(sums.sum() / sizes.sum())
    draws = np.concatenate([sums[index].sum(1) / sizes[index].sum(1) for index in _draws(total, resamples, seed)])
    below = ((draws < estimate).sum() + 0.5 * (draws == estimate).sum()) / resamples
    bias = float(stats.norm.ppf(min(max(below, 0.5 / resamples), 1 - 0.5 / resamples)))
    left_out = (sums.sum() - sums) / (sizes.sum() - sizes)
    pull = left_out.mean() - left_out
    spread = float((pull**2).sum())
    acceleration = float((pull**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    return draws, bias, acceleration


def _draws(total: int, resamples: int, seed: int) -> Iterator[IntArray]:
    rng = np.random.default_rng(seed)
    block = max(1, _CELLS // total)
    for start in range(0, resamples, block):
        yield rng.integers(total, size=(min(block, resamples - start), total))


def _all_signs(total: int) -> Iterator[FloatArray]:
    bits = (np.arange(2**total)[:, None] >> np.arange(total)) & 1
    yield 1.0 - 2.0 * bits


def _random_signs(total: int, permutations: int, seed: int) -> Iterator[FloatArray]:
    rng = np.random.default_rng(seed)
    block = max(1, _CELLS // total)
    for start in range(0, permutations, block):
        yield rng.integers(2, size=(min(block, permutations - start), total)) * 2.0 - 1.0


def _direction(sums: FloatArray, alternative: str) -> FloatArray:
    return {"greater": sums, "less": -sums, "two-sided": np.abs(sums)}[alternative]

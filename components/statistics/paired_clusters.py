"""Difference of means of two models on the same items when items come in clusters.

Source: Miller (2024), arXiv:2411.00640 (paired, clustered evaluation errors); Bell & McCaffrey (2002), Survey
Methodology 28:169 (CR3); Efron (1987), JASA 82:171 (BCa); Obuchowski (1998), Stat. Med. 17:1495 and Rao & Scott
(1992), Biometrics 48:577 (binary outcomes of an effective sample size); Fisher (1935) (sign flips).
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
from flywheel.components.statistics.paired_binary import noninferiority_p, score_statistic

Clusters = Sequence[Any] | NDArray[Any] | None

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
    if choice(method, "method", ("delta", "bootstrap")) == "delta":
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
    candidate: ArrayLike, production: ArrayLike, clusters: Clusters = None, margin: float = 0.02
) -> float:
    """One-sided p-value of "the candidate's mean is above production's minus the margin", clusters respected.

    H0: ``mean(candidate - production) <= -margin``. The p-value is the larger of the cluster-robust t test and a
    test that still works where the t test has nothing to measure:

    * outcomes of 0 and 1: the score test on the effective sample ``n / design effect``; with fewer than ten
      clusters that hold a discordant pair, the exact test with the worst design effect there can be;
    * other scores without a single loss: ``(1 - margin / span) ** G``, the chance that G clusters hide the loss,
      where span is the width of the score scale (at least 1).

    Simulated false passes at the margin (nominal 0.05, ICC 0.3, 0/1 outcomes): 0.045 with 25 users of 8 items, 0.052
    with 200 of 5, 0.056 with 150 users whose activity is very skewed; blind to clusters it would be 0.13 to 0.23.

    For right and wrong answers in clusters of very different size the level is approximate: up to .065 was measured at
    a nominal .05. The gauntlet therefore takes the worst-case design effect with the exact test
    (`evaluation.accuracy`).

    Args:
        candidate: Candidate's scores, shape (n,).
        production: Production's scores on the same items, shape (n,).
        clusters: Cluster label of each item, shape (n,); None makes every item its own cluster.
        margin: Largest tolerable loss, positive, in the unit of the scores.

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
    p = float(stats.t.sf((mean.mean + margin) / mean.standard_error, mean.freedom)) if mean.variance else 0.0
    if not mean.variance and mean.mean <= -margin:
        return 1.0
    if np.isin(first, (0, 1)).all() and np.isin(second, (0, 1)).all() and margin < 1:
        return max(p, _effective_sample_p(differences, mean, float(margin)))
    if differences.min() >= 0:
        span = max(1.0, float(max(first.max(), second.max()) - min(first.min(), second.min())))
        p = max(p, max(0.0, 1 - margin / span) ** total)
    return p


def _effective_sample_p(differences: FloatArray, mean: ClusterMean, margin: float) -> float:
    """Score test of binary pairs with all counts divided by the design effect (Rao & Scott)."""
    deff = mean.design_effect
    b, c, n = (float(value) / deff for value in ((differences < 0).sum(), (differences > 0).sum(), mean.n))
    if mean.informative < 10:
        size = max(1, math.floor(n))
        losses = min(size, math.ceil(b))
        return noninferiority_p(losses, min(size - losses, math.floor(c)), size, margin)
    return float(stats.t.sf(float(score_statistic(b, c, n, -margin)), mean.freedom))


def _bca(
    differences: FloatArray, codes: IntArray, total: int, confidence: float, resamples: int, seed: int
) -> Interval:
    """Bias-corrected and accelerated bootstrap interval of the mean over items, drawing whole clusters."""
    sums = np.bincount(codes, weights=differences, minlength=total)
    sizes = np.bincount(codes, minlength=total).astype(np.float64)
    estimate = float(sums.sum() / sizes.sum())
    draws = np.concatenate([sums[index].sum(1) / sizes[index].sum(1) for index in _draws(total, resamples, seed)])
    below = ((draws < estimate).sum() + 0.5 * (draws == estimate).sum()) / resamples
    bias = stats.norm.ppf(min(max(below, 0.5 / resamples), 1 - 0.5 / resamples))
    left_out = (sums.sum() - sums) / (sizes.sum() - sizes)
    pull = left_out.mean() - left_out
    spread = float((pull**2).sum())
    acceleration = float((pull**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    z = bias + stats.norm.ppf([(1 - confidence) / 2, (1 + confidence) / 2])
    lower, upper = np.quantile(draws, stats.norm.cdf(bias + z / np.maximum(1 - acceleration * z, 1e-9)))
    return Interval(float(lower), float(upper), float(confidence))


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

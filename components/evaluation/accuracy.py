"""Right or wrong on the same items: difference in accuracy, clusters respected.

The claim "no worse than the margin" rests on `paired_clusters.cluster_noninferiority_p` (cluster-robust t and score
test; exact with the worst design effect when few clusters flip), and the limits shown are the margins at which that
test turns, so interval and verdict cannot disagree.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from flywheel.components.evaluation.finding import Finding, Levels
from flywheel.components.statistics.checked import cluster_codes
from flywheel.components.statistics.cluster_mean import ClusterMean, cluster_mean
from flywheel.components.statistics.paired_binary import (
    mcnemar_exact,
    noninferiority_p,
    score_limits,
    score_statistic,
)
from flywheel.components.statistics.paired_clusters import cluster_noninferiority_p, sign_flip_p
from flywheel.components.statistics.power import paired_items_needed

Column = NDArray[np.float64]

_FEW = 10  # informative clusters below which the exact test decides (as in `cluster_noninferiority_p`)
_PERMUTED_CLUSTERS = 2000  # beyond, the t test alone is as good and much faster
_TINY = 1e-9
_STEPS = 12

TEST = "paired, cluster-robust (Tango 1998; Bell & McCaffrey 2002; exact when flips are few: Hsueh et al. 2001)"


def compare(
    candidate: Column,
    production: Column,
    clusters: NDArray[np.str_],
    margin: float,
    levels: Levels,
    effect: float | None,
    seed: int,
) -> Finding:
    """Compare accuracy on the same items.

    Args:
        candidate: 0 or 1 per item, shape (n,).
        production: 0 or 1 per item, shape (n,).
        clusters: Cluster of each item, shape (n,).
        margin: Largest tolerable loss, in [0, 1).
        levels: Error rate and power.
        effect: Primary metrics: smallest gain worth finding, for the n the claim "better" needs. None: the claim is
            "no worse than the margin", and superiority is not tested.
        seed: Seed of the sign flips.

    Returns:
        The finding; limits are one-sided at `levels.alpha`.

    Raises:
        ValueError: Fewer than two clusters, or values that are no outcomes.
    """
    codes, total = cluster_codes(clusters, candidate.size)
    differences = candidate - production
    mean = cluster_mean(differences, codes, total)
    b, c = int((differences < 0).sum()), int((differences > 0).sum())
    lower, upper, p_safe = _limits(candidate, production, codes, mean, b, c, margin, levels.alpha)
    return Finding(
        scale="difference",
        unit="share of right answers",
        direction="higher",
        n=mean.n,
        clusters=mean.clusters,
        production=float(production.mean()),
        candidate=float(candidate.mean()),
        value=mean.mean,
        lower=lower,
        upper=upper,
        test=TEST,
        p_superior=None if effect is None else _superiority(differences, codes, mean, b, c, seed),
        p_safe=p_safe,
        p_harm=_harm(mean, b, c, margin),
        n_needed=lambda: _needed(mean, b, c, margin, levels, effect),
    )


def _superiority(differences: Column, codes: NDArray[np.int64], mean: ClusterMean, b: int, c: int, seed: int) -> float:
    """p-value of "right more often": exact McNemar, or sign flips of whole clusters and the cluster-robust t test."""
    if mean.n == mean.clusters:
        return mcnemar_exact(b, c, "greater")
    t = float(stats.t.sf(mean.mean / mean.standard_error, mean.freedom)) if mean.variance else 0.0
    if mean.clusters > _PERMUTED_CLUSTERS:
        return t if mean.variance else float(mean.mean <= 0)
    return max(t, sign_flip_p(differences, codes, "greater", 9999, seed))


def _harm(mean: ClusterMean, b: int, c: int, margin: float) -> float:
    """p-value of "worse than the margin": the larger of the t test and the score test on the effective sample."""
    if margin == 0 and mean.n == mean.clusters:
        return mcnemar_exact(b, c, "less")
    t = float(stats.t.cdf((mean.mean + margin) / mean.standard_error, mean.freedom)) if mean.variance else 0.0
    deff = mean.design_effect
    score = float(score_statistic(b / deff, c / deff, mean.n / deff, -margin))
    if b + c == 0:
        return 1.0
    return max(t, float(stats.t.cdf(score, mean.freedom)))


def _limits(
    candidate: Column,
    production: Column,
    codes: NDArray[np.int64],
    mean: ClusterMean,
    b: int,
    c: int,
    margin: float,
    alpha: float,
) -> tuple[float, float, float]:
    """Limits of the difference and the p-value of "no worse than the margin"."""
    critical = float(stats.t.isf(alpha, mean.freedom))
    deff = mean.design_effect
    score_lower, score_upper = score_limits(b / deff, c / deff, mean.n / deff, critical)
    half = critical * mean.standard_error
    lower = max(-1.0, min(mean.mean - half, score_lower))
    upper = min(1.0, max(mean.mean + half, score_upper))
    p_safe = cluster_noninferiority_p(candidate, production, codes, margin) if margin > 0 else 1.0
    if mean.informative >= _FEW:
        return lower, upper, p_safe
    if lower > 0 and cluster_noninferiority_p(candidate, production, codes, _TINY) <= alpha:
        return lower, upper, p_safe
    return _exact_lower(candidate, production, codes, margin, p_safe, alpha), upper, p_safe


def _exact_lower(
    candidate: Column, production: Column, codes: NDArray[np.int64], margin: float, p_safe: float, alpha: float
) -> float:
    """Largest loss that the test cannot rule out, found by bisection on the margin, rounded outwards."""
    low, high = (_TINY, max(margin, _TINY)) if p_safe <= alpha else (max(margin, _TINY), 1 - _TINY)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if cluster_noninferiority_p(candidate, production, codes, middle) <= alpha:
            high = middle
        else:
            low = middle
    return -high


def _needed(mean: ClusterMean, b: int, c: int, margin: float, levels: Levels, effect: float | None) -> int | None:
    """Items at which the claim has its power: a gain of `effect`, or no difference at all, at the flips seen."""
    discordance = (b + c + 1) / (mean.n + 2)
    deff = mean.design_effect
    if effect is not None:  # as many losses as were seen, and `effect` more gains than losses
        expected = min(1.0, effect + 2 * (b + 0.5) / (mean.n + 1))
        return paired_items_needed(_TINY, expected, effect, levels.alpha, levels.power, deff)
    if margin <= 0:
        return None
    need = paired_items_needed(margin, discordance, 0.0, levels.alpha, levels.power, deff)
    return max(need, math.ceil(exact_items_needed(margin, round(discordance, 4), levels) * mean.worst_design_effect))


@lru_cache(maxsize=4096)
def exact_items_needed(margin: float, discordance: float, levels: Levels) -> int:
    """Independent items at which the exact test reaches its power when few flips are expected.

    The normal approximation asks for too few when flips are rare: with none at all, `log(alpha) / log(1 - margin)`
    items are needed. Flips both ways are taken as equally likely and Poisson.

    Args:
        margin: Largest tolerable loss, in (0, 1).
        discordance: Expected share of items on which the models differ.
        levels: Error rate and power.

    Returns:
        Number of items; 0 when more than 20 flips are expected, where the approximation is good.
    """
    n = math.ceil(math.log(levels.alpha) / math.log1p(-margin))
    while n * discordance <= 20:
        if _exact_power(n, margin, n * discordance / 2, levels.alpha) >= levels.power:
            return n
        n = math.ceil(n * 1.05)
    return 0


def _exact_power(n: int, margin: float, rate: float, alpha: float) -> float:
    """Chance that the exact test passes when `rate` flips are expected each way."""
    most = int(stats.poisson.isf(0.005, rate))
    chance = stats.poisson.pmf(np.arange(most + 1), rate)
    at_least = stats.poisson.sf(np.arange(-1, 2 * most + 1), rate)  # of 0, 1, ... positive flips
    power, least = 0.0, 0
    for b in range(most + 1):
        while least <= 2 * most and b + least <= n and noninferiority_p(b, least, n, margin) > alpha:
            least += 1
        power += float(chance[b] * at_least[least])
    return power

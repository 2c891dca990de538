"""Right or wrong on the same items: difference in accuracy, clusters respected.

The claim "no worse than the margin" needs two tests at once: the cluster-robust t test, and the exact unconditional
test on as many items as there are independent units in the worst case (all items of a cluster alike). The design
effect is not estimated for it. Simulated at the margin with 60 clusters of ten and an intraclass correlation of 0.2, an
estimated one passes 9 % of the candidates that it may pass 5 % of, the worst case hardly any; the price is small: a
candidate that loses and gains 1 % of 480 items in clusters of three passes 97 % of the time instead of 98 %. The limits
shown are the margins at which the tests turn, so interval and verdict cannot disagree.

An item that is answered k times counts by its share of right answers. For the exact test the flips are added up and
rounded against the candidate: of all variables on [-1, 1] with the same mean losses and gains, the three-valued one of
the exact test spreads most (Hoeffding 1963, JASA 58:13), so the shares can only make it safer.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from flywheel.components.evaluation.metrics.finding import Finding, Levels
from flywheel.components.statistics.checked import cluster_codes
from flywheel.components.statistics.cluster_mean import ClusterMean, cluster_mean
from flywheel.components.statistics.paired_binary import (
    mcnemar_exact,
    noninferiority_p,
    score_limits,
    score_statistic,
)
from flywheel.components.statistics.paired_clusters import sign_flip_p
from flywheel.components.statistics.power import paired_items_needed

Column = NDArray[np.float64]
Labels = NDArray[np.str_] | NDArray[np.int64]

_PERMUTED_CLUSTERS = 2000  # beyond, the t test alone is as good and much faster
_TINY = 1e-9
_GRAINS = 32  # the limit is found to this part of the half-width

TEST = "paired, cluster-robust t and exact over clusters (Bell & McCaffrey 2002; Hsueh, Liu & Chen 2001)"


def compare(
    candidate: Column,
    production: Column,
    clusters: Labels,
    margin: float,
    levels: Levels,
    effect: float | None,
    seed: int,
) -> Finding:
    """Compare accuracy on the same items.

    Args:
        candidate: Share of right answers per item, in [0, 1], shape (n,); 0 or 1 when every item is answered once.
        production: Likewise.
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
    if not all(((arm >= 0) & (arm <= 1)).all() for arm in (candidate, production)):
        raise ValueError("a share of right answers lies outside 0 to 1")
    # Flips, in whole items' worth: an item that loses two of its five right answers is lost by two fifths.
    b, c = float(-differences[differences < 0].sum()), float(differences[differences > 0].sum())
    p_safe = _safety(mean, b, c, margin) if margin > 0 else 1.0
    lower, upper = _limits(mean, b, c, margin, p_safe, levels.alpha)
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
        p_superior=None if effect is None else _superiority(differences, codes, mean, seed),
        p_safe=p_safe,
        p_harm=_harm(differences, mean, b, c, margin),
        n_needed=lambda: _needed(mean, b, c, margin, levels, effect),
    )


def _superiority(differences: Column, codes: NDArray[np.int64], mean: ClusterMean, seed: int) -> float:
    """p-value of "right more often": exact McNemar, or sign flips of whole clusters and the cluster-robust t test."""
    if mean.n == mean.clusters and _whole(differences):
        return mcnemar_exact(int((differences < 0).sum()), int((differences > 0).sum()), "greater")
    t = float(stats.t.sf(mean.mean / mean.standard_error, mean.freedom)) if mean.variance else 0.0
    if mean.clusters > _PERMUTED_CLUSTERS:
        return t if mean.variance else float(mean.mean <= 0)
    return max(t, sign_flip_p(differences, codes, "greater", 9999, seed))


def _whole(differences: Column) -> bool:
    return bool((differences == differences.round()).all())


def _safety(mean: ClusterMean, b: float, c: float, margin: float) -> float:
    """p-value of "no worse than the margin": the larger of the t test and the exact test over clusters."""
    t = float(stats.t.sf((mean.mean + margin) / mean.standard_error, mean.freedom)) if mean.variance else 0.0
    deff = max(1.0, mean.worst_design_effect)
    units = max(1, math.floor(mean.n / deff + _TINY))
    losses = min(units, math.ceil(b / deff - _TINY))  # rounded against the candidate
    return max(t, noninferiority_p(losses, min(units - losses, math.floor(c / deff + _TINY)), units, margin))


def _harm(differences: Column, mean: ClusterMean, b: float, c: float, margin: float) -> float:
    """p-value of "worse than the margin": the larger of the t test and the score test over clusters."""
    if margin == 0 and mean.n == mean.clusters and _whole(differences):
        return mcnemar_exact(int((differences < 0).sum()), int((differences > 0).sum()), "less")
    if b + c == 0:
        return 1.0
    t = float(stats.t.cdf((mean.mean + margin) / mean.standard_error, mean.freedom)) if mean.variance else 0.0
    deff = max(1.0, mean.worst_design_effect)
    score = float(score_statistic(b / deff, c / deff, mean.n / deff, -margin))
    return max(t, float(stats.t.cdf(score, mean.freedom)))


def _limits(mean: ClusterMean, b: float, c: float, margin: float, p_safe: float, alpha: float) -> tuple[float, float]:
    """Limits of the difference: the lower one where the test of safety turns, the upper one from t and score test."""
    critical = float(stats.t.isf(alpha, mean.freedom))
    deff = max(1.0, mean.worst_design_effect)
    score_lower, score_upper = score_limits(b / deff, c / deff, mean.n / deff, critical)
    half = critical * mean.standard_error
    upper = min(1.0, max(mean.mean + half, score_upper))
    gain = min(mean.mean - half, score_lower)
    if gain > 0 and _safety(mean, b, c, _TINY) <= alpha:
        return gain, upper
    # The largest loss that cannot be ruled out, rounded outwards. No margin within the t limit is safe, so the search
    # starts there; the verdict's own margin is an end of the bracket, so that both say the same.
    edge = max(margin, _TINY)
    low, high = max(_TINY, half - mean.mean), 1 - _TINY
    low, high = (min(low, edge), edge) if p_safe <= alpha else (max(low, edge), high)
    step = grain = max(half, 1 / mean.n)
    while low + step < high:
        if _safety(mean, b, c, low + step) <= alpha:
            high = low + step
        else:
            low, step = low + step, 2 * step
    while high - low > grain / _GRAINS:
        middle = (low + high) / 2
        if _safety(mean, b, c, middle) <= alpha:
            high = middle
        else:
            low = middle
    return -high, upper


def _needed(mean: ClusterMean, b: float, c: float, margin: float, levels: Levels, effect: float | None) -> int | None:
    """Items at which the claim has its power: a gain of `effect`, or no difference at all, at the flips seen."""
    discordance = (b + c + 1) / (mean.n + 2)
    deff = max(1.0, mean.worst_design_effect)
    if effect is not None:  # as many losses as were seen, and `effect` more gains than losses
        expected = min(1.0, effect + 2 * (b + 0.5) / (mean.n + 1))
        return paired_items_needed(_TINY, expected, effect, levels.alpha, levels.power, mean.design_effect)
    if margin <= 0:
        return None
    need = paired_items_needed(margin, discordance, 0.0, levels.alpha, levels.power, deff)
    return max(need, math.ceil(exact_items_needed(margin, round(discordance, 4), levels) * deff))


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

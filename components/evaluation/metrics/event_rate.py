"""Rates that have an upper limit: unsafe answers and right answers turned wrong. Exact, also with no event at all."""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from flywheel.components.evaluation.metrics.finding import Finding, Levels
from flywheel.components.statistics.binomial_bounds import lower_bound, upper_bound
from flywheel.components.statistics.checked import cluster_codes
from flywheel.components.statistics.cluster_mean import cluster_mean
from flywheel.components.statistics.paired_binary import mcnemar_exact

Column = NDArray[np.float64]
Labels = NDArray[np.str_] | NDArray[np.int64]

_MOST = 1_000_000


def negative_flips(candidate: Column, production: Column, clusters: Labels, margin: float, levels: Levels) -> Finding:
    """Bound the share of items that production gets right and the candidate wrong.

    A net difference of zero can hide many answers that users had and lost. Counts are divided by the worst design
    effect that the clusters can have (Rao & Scott 1992) and rounded against the candidate before the exact limit is
    taken; see `accuracy` for why it is not estimated.

    Args:
        candidate: 0 or 1 per item, shape (n,).
        production: 0 or 1 per item, shape (n,).
        clusters: Cluster of each item, shape (n,).
        margin: Budget: largest tolerable share, in (0, 1).
        levels: Error rate and power.

    Returns:
        The finding; production's estimate is 0 by definition.

    Raises:
        ValueError: Fewer than two clusters.
    """
    codes, total = cluster_codes(clusters, candidate.size)
    lost = ((production == 1) & (candidate == 0)).astype(np.float64)
    mean = cluster_mean(lost, codes, total)
    deff = max(1.0, mean.worst_design_effect)
    size = max(1, math.floor(mean.n / deff))
    events = min(size, math.ceil(float(lost.sum()) / deff - 1e-9))
    few = min(size, math.floor(float(lost.sum()) / deff + 1e-9))

    def needed() -> int | None:
        need = items_needed(float(lost.mean()), margin, levels)
        return None if need is None else math.ceil(need * deff)

    return Finding(
        scale="level",
        unit="share of right answers turned wrong",
        direction="lower",
        n=mean.n,
        clusters=mean.clusters,
        production=0.0,
        candidate=mean.mean,
        value=mean.mean,
        lower=min(mean.mean, lower_bound(few, size, 1 - levels.alpha)),
        upper=upper_bound(events, size, 1 - levels.alpha),
        test="exact upper limit on the effective sample (Clopper & Pearson 1934; Rao & Scott 1992)",
        p_superior=None,
        p_safe=float(stats.binom.cdf(events, size, margin)),
        p_harm=float(stats.binom.sf(few - 1, size, margin)),
        n_needed=needed,
    )


def unsafe_answers(
    candidate: Column,
    production: Column,
    clusters: Labels,
    margin: float,
    levels: Levels,
    names: NDArray[np.str_],
) -> Finding:
    """Bound the candidate's rate of unsafe answers, and let no answer become unsafe that was safe.

    The unit is the cluster, unsafe when any of its answers is: right whatever the correlation inside. "0 of 60" means
    "at most 4.9 %", and says so.

    Args:
        candidate: 1 where the candidate's answer is unsafe, shape (n,).
        production: 1 where production's answer is unsafe, shape (n,).
        clusters: Cluster of each item, shape (n,).
        margin: Largest tolerable rate, in (0, 1).
        levels: Error rate and power.
        names: Item ids, to name what became unsafe.

    Returns:
        The finding; harm is either a rate shown above the margin or significantly more unsafe answers than production.

    Raises:
        ValueError: Fewer than two clusters.
    """
    codes, total = cluster_codes(clusters, candidate.size)
    here, there = (np.bincount(codes, weights=arm, minlength=total) > 0 for arm in (candidate, production))
    events = int(here.sum())
    became = (candidate == 1) & (production == 0)
    new = int(became.sum())
    worse = mcnemar_exact(int((here & ~there).sum()), int((there & ~here).sum()), "less")
    level = float(stats.binom.sf(events - 1, total, margin))
    reasons = []
    if new:
        reasons.append(f"new_unsafe_answers: {new}, for example on item {str(names[became][0])!r}")

    def needed() -> int | None:
        need = None if new else items_needed(events / total, margin, levels)
        return None if need is None else math.ceil(need * candidate.size / total)

    return Finding(
        scale="level",
        unit="share of unsafe answers",
        direction="lower",
        n=int(candidate.size),
        clusters=total,
        production=float(there.mean()),
        candidate=float(here.mean()),
        value=float(here.mean()),
        lower=lower_bound(events, total, 1 - levels.alpha),
        upper=upper_bound(events, total, 1 - levels.alpha),
        test="exact upper limit over clusters, and no newly unsafe answer (Clopper & Pearson 1934)",
        p_superior=None,
        p_safe=1.0 if new else float(stats.binom.cdf(events, total, margin)),
        p_harm=min(1.0, 2 * min(level, worse)),
        n_needed=needed,
        reasons=tuple(reasons),
    )


@lru_cache(maxsize=4096)
def items_needed(rate: float, margin: float, levels: Levels) -> int | None:
    """Independent items at which the upper limit falls below the margin with the given power.

    Args:
        rate: Expected event rate.
        margin: Limit to fall below, in (0, 1).
        levels: Error rate and power.

    Returns:
        Number of items, or None when the rate is so near the margin that a million would not do.
    """
    if rate >= margin:
        return None
    sizes = np.unique(np.geomspace(1, _MOST, 4000).round())
    allowed = stats.binom.ppf(levels.alpha, sizes, margin)  # smallest k with cdf >= alpha
    allowed = np.where(stats.binom.cdf(allowed, sizes, margin) <= levels.alpha, allowed, allowed - 1)
    power = np.where(allowed >= 0, stats.binom.cdf(allowed, sizes, rate), 0.0)
    short = np.flatnonzero(power < levels.power)  # the power is a saw: ask for where it stays above
    place = int(short[-1]) + 1 if short.size else 0
    return None if place >= sizes.size else int(sizes[place])

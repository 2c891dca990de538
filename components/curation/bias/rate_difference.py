"""Do two groups have different rates? Newcombe's interval on what clustered rows are worth, and its p-value.

Rows of one user are no independent trials: each group counts for its number of rows divided by its design effect
(Kish). Source: Newcombe (1998), Stat. Med. 17:873, method 10 (difference of two proportions from Wilson's intervals);
Rao & Scott (1992), Biometrics 48:577 (effective counts of clustered binary data).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from flywheel.components.statistics.checked import FloatArray, IntArray
from flywheel.components.statistics.cluster_mean import cluster_mean
from flywheel.components.statistics.interval import Interval


@dataclass(frozen=True)
class Rate:
    """A rate of one group.

    Attributes:
        rate: Share of rows, in [0, 1].
        rows: Rows n.
        users: Clusters.
        effective: What the rows are worth: n over the design effect, at most n.
        freedom: Degrees of freedom of its variance, at least 1.
    """

    rate: float
    rows: int
    users: int
    effective: float
    freedom: float

    def interval(self, confidence: float = 0.95) -> Interval:
        """Wilson's interval on the effective number of rows."""
        z = float(stats.t.isf((1 - confidence) / 2, self.freedom))
        lower, upper = _wilson(self.rate, self.effective, z)
        return Interval(lower, upper, confidence)


@dataclass(frozen=True)
class RateDifference:
    """First rate minus second.

    Attributes:
        difference: In [-1, 1].
        interval: Newcombe's interval.
        p: p-value of "the difference is at most the tolerance in either direction".
    """

    difference: float
    interval: Interval
    p: float


def rate_of(outcomes: FloatArray, codes: IntArray) -> Rate:
    """Rate of a group with what its rows are worth.

    Args:
        outcomes: 0 or 1, shape (n,), n >= 1.
        codes: Cluster of each row, any whole numbers, shape (n,).
    """
    names, inside = np.unique(codes, return_inverse=True)
    if len(names) < 2:
        return Rate(float(outcomes.mean()), outcomes.size, len(names), 1.0, 1.0)
    found = cluster_mean(outcomes, inside.ravel().astype(np.int64), len(names))
    return Rate(found.mean, found.n, found.clusters, found.n / found.design_effect, max(1.0, found.freedom))


def compare(first: Rate, second: Rate, tolerance: float = 0.0, confidence: float = 0.95) -> RateDifference:
    """Compare two groups that share no row.

    Args:
        first: Rate of a group.
        second: Rate of the other.
        tolerance: Difference that is not worth a word, in [0, 1).
        confidence: Coverage of the interval.
    """
    freedom = max(1.0, min(first.freedom, second.freedom))
    difference = first.rate - second.rate
    interval = _newcombe(first, second, float(stats.t.isf((1 - confidence) / 2, freedom)))
    low, high = (first, second) if difference < 0 else (second, first)
    gap = abs(difference)
    if gap <= tolerance:
        p = 1.0
    elif _nearest(high, low, 40.0) > tolerance:
        p = float(2 * stats.t.sf(40.0, freedom))
    else:
        z = optimize.brentq(lambda z: _nearest(high, low, z) - tolerance, 0.0, 40.0, xtol=1e-6)
        p = float(2 * stats.t.sf(z, freedom))
    return RateDifference(difference, Interval(*interval, confidence), min(1.0, p))


def _wilson(rate: float, n: float, z: float) -> tuple[float, float]:
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def _newcombe(first: Rate, second: Rate, z: float) -> tuple[float, float]:
    low1, high1 = _wilson(first.rate, first.effective, z)
    low2, high2 = _wilson(second.rate, second.effective, z)
    difference = first.rate - second.rate
    lower = difference - math.hypot(first.rate - low1, high2 - second.rate)
    return max(-1.0, lower), min(1.0, difference + math.hypot(high1 - first.rate, second.rate - low2))


def _nearest(high: Rate, low: Rate, z: float) -> float:
    """Lower limit of the gap between the higher and the lower rate at z standard errors."""
    return (
        high.rate
        - low.rate
        - math.hypot(
            high.rate - _wilson(high.rate, high.effective, z)[0], _wilson(low.rate, low.effective, z)[1] - low.rate
        )
    )

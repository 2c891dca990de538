"""Anytime-valid limits for the difference of two bounded means, by multiplying the two arms' betting wealths.

For a mean m, the wealth `W+(m) = sum_f w_f prod_i (1 + f (x_i / m - 1))` is a supermartingale whenever the true mean
is at most m, for every set of betting fractions f in [0, 1) with weights w_f that sum to 1; `W-(m)`, the same on
1 - x, whenever it is at least m (Waudby-Smith & Ramdas 2023, arXiv:2010.09686, section 4, with a fixed mixture over f
in place of adaptive bets). If the candidate's mean is at least delta above production's mean theta, then
`W+_production(theta) * W-_candidate(theta + delta)` is a nonnegative supermartingale that starts at 1, in whatever
order the two arms' users arrive; by Ville's inequality it ever reaches 1/alpha with probability at most alpha. theta
is unknown, so delta is excluded only when the product reaches 1/alpha for *every* theta. Against two intervals that
split alpha (`statistics.betting.difference_upper`) the limits are 5-15 % narrower when the arms are alike in size and
about equal when one is tiny.

The wealths depend on the values only through how often each occurs, so nothing but a histogram has to be kept, and a
restarted judge is where it was.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_CELLS = 400  # limits are rounded outwards to 1/400
_FRACTIONS = np.concatenate([[0.0], np.geomspace(0.01, 0.6, 9), [0.8, 0.98]])
# Small samples need bold bets; large ones can afford to wait. Three tenths are never bet: where an arm's bet is
# hopeless (theta on the wrong side of its mean) that costs the product a factor of 3, not everything.
_WEIGHTS = np.concatenate([[0.3], _FRACTIONS[1:-2] ** 0.5 / (_FRACTIONS[1:-2] ** 0.5).sum() * 0.37, [0.08, 0.25]])

Floats = NDArray[np.float64]


def difference_limits(
    production: Sequence[float], candidate: Sequence[float], alpha_lower: float, alpha_upper: float
) -> tuple[float, float]:
    """One-sided limits of candidate's mean minus production's mean, each valid at all looks together.

    Args:
        production: One value in [0, 1] per user; of an empty arm only the bounds are known.
        candidate: One value in [0, 1] per user.
        alpha_lower: Chance that the lower limit is ever above the truth, in (0, 1).
        alpha_upper: Chance that the upper limit is ever below the truth, in (0, 1).

    Returns:
        Lower and upper limit in [-1, 1], multiples of 1/400.

    Raises:
        ValueError: A value is NaN or outside [0, 1], or an alpha is outside (0, 1).
    """
    for alpha in (alpha_lower, alpha_upper):
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must lie in (0, 1), got {alpha}")
    first, second = _histogram(production), _histogram(candidate)
    lower = -_upper(_wealth_above(second), _wealth_below(first), math.log(1 / alpha_lower))
    return lower, _upper(_wealth_above(first), _wealth_below(second), math.log(1 / alpha_upper))


def _histogram(values: Sequence[float]) -> dict[float, int]:
    array = np.asarray(values, dtype=np.float64)
    if array.size and not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
        raise ValueError("values must be numbers in [0, 1]")
    points, counts = np.unique(array, return_counts=True)
    return dict(zip(points.tolist(), counts.tolist(), strict=True))


@lru_cache(maxsize=512)
def _log_gains(value: float) -> Floats:
    """Log gain of each fraction (rows) against each mean (columns) when a user's value is `value`."""
    means = np.linspace(0, 1, _CELLS + 1)
    means[0] = 1e-12  # at m = 0 any positive value makes the bettor rich without bound
    return np.asarray(np.log1p(_FRACTIONS[:, None] * (value / means[None, :] - 1)))


def _wealth_above(counts: dict[float, int]) -> Floats:
    """Log wealth of betting that the mean is above m, for m = 0, 1/cells, ..., 1; falls in m."""
    logs = np.zeros((len(_FRACTIONS), _CELLS + 1))
    for value, count in counts.items():
        logs += count * _log_gains(value)
    peak = logs.max(axis=0)
    return np.asarray(peak + np.log(_WEIGHTS @ np.exp(logs - peak)))


def _wealth_below(counts: dict[float, int]) -> Floats:
    """Log wealth of betting that the mean is below m, on the same grid; rises in m."""
    return _wealth_above({1 - value: count for value, count in counts.items()})[::-1]


def _upper(reference_up: Floats, other_down: Floats, goal: float) -> float:
    """Smallest excess of the other arm's mean over the reference's that is excluded; 1 when none is.

    Between two grid points the true wealth is at least the reference's at the right end (it falls in m) times the
    other's at the left end (it rises in m), so rounding can only widen the limit.
    """
    low, high = -_CELLS, _CELLS  # excess `high` cells is (taken as) excluded, `low` is not
    while high - low > 1:
        middle = (low + high) // 2
        start, stop = max(0, -middle), min(_CELLS, _CELLS - middle)  # cells of theta with both means in [0, 1]
        right = reference_up[start + 1 : stop + 1]
        left = other_down[start + middle : stop + middle]
        if right.size and (right + left).min() >= goal:
            high = middle
        else:
            low = middle
    return high / _CELLS

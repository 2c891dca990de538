"""Did the distribution of a number (a length, a latency) move? Kolmogorov-Smirnov distance, users as units."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flywheel.components.monitoring import user_flips, windows
from flywheel.components.monitoring.prompt_features import thin

_GRID = 64


@dataclass(frozen=True)
class NumericDrift:
    """One number in both windows.

    Attributes:
        feature: Name with its unit.
        reference: Median in the reference window; None if the log does not hold enough values.
        current: Median in the current window.
        distance: Largest difference of the two distribution functions (Kolmogorov-Smirnov), on 64 quantiles.
        p_value: p-value of the sign-flip test over users.
    """

    feature: str
    reference: float | None
    current: float | None
    distance: float | None
    p_value: float | None


def compare_number(
    feature: str,
    values: NDArray[np.float64],
    current: NDArray[np.bool_],
    users: NDArray[np.int64],
    flips: int,
    seed: int,
) -> NumericDrift:
    """Compare the distribution of a number between the windows.

    The classical p-value takes rows as independent; here whole users are flipped.

    Args:
        feature: Name with its unit.
        values: Values, NaN where there is none, shape (n,).
        current: Whether a row is in the current window, shape (n,).
        users: User of each row, shape (n,).
        flips: Random flips of users.
        seed: Seed of the flips.

    Returns:
        Medians, distance and p-value; all None when too few rows hold a value.
    """
    there = np.isfinite(values)
    values, current, users = values[there], current[there], users[there]
    if not windows.big_enough(users, current):
        return NumericDrift(feature, None, None, None, None)
    keep = thin(current, seed)
    values, current, users = values[keep], current[keep], users[keep]
    grid = np.unique(np.quantile(values, np.linspace(0, 1, _GRID + 1)[:-1], method="inverted_cdf"))
    below = (values[:, None] <= grid).astype(np.float64)
    sums = user_flips.user_sums(below, current, users)
    distance, p_value = user_flips.flip_p(lambda moved: np.abs(moved).max(axis=1), sums, flips, seed)
    return NumericDrift(
        feature, float(np.median(values[~current])), float(np.median(values[current])), distance, p_value
    )

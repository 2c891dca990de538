"""Does a mean differ between the windows? A sign-flip test whose unit is the user.

A user's contribution to the difference of the two windows' means is

    psi_u = sum over u's current rows of (x - m) / N_current - sum over u's reference rows of (x - m) / N_reference

with m the pooled mean; the psi_u sum to the observed difference. If nothing changed, each psi_u has mean zero and users
are independent, so flipping users' signs at random gives differences as they arise by chance. Rows of one user stay
together (chatty users raise no false alarm); users seen in both windows are their own controls; nothing depends on the
two windows being of equal length. Swapping a user's two blocks and pooling again, the usual permutation, does: the
blocks of a short window are smaller and noisier than those of a long one, the swap averages that away, and 20 days
against 3 give 16 % false alarms at a nominal 5 % (tests/simulation/test_monitoring_user_flips.py).

The pooled mean is a nuisance without effect to first order (its derivative in the sum is zero). Source: Hemerik,
Goeman & Finos (2020), JRSS-B 82:841 (sign-flipping score contributions are robust to unequal variances); Kline &
Santos (2012), J. Econometric Methods 1:23 (score bootstrap over clusters).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_CHUNK = 2048
_LEAST_ALPHA = 5e-4


def flips_for(alpha: float) -> int:
    """Flips that resolve a p-value well below a tenth of a family's error rate.

    Args:
        alpha: Error rate of the family of detectors.

    Returns:
        Number of random flips: 100 / alpha.

    Raises:
        ValueError: If alpha is not in [0.0005, 0.5]: smaller ones would need more flips than a step can afford.
    """
    if not _LEAST_ALPHA <= alpha <= 0.5:
        raise ValueError(f"alpha must lie in [{_LEAST_ALPHA}, 0.5], got {alpha}")
    return int(np.ceil(100 / alpha))


def row_weights(current: NDArray[np.bool_]) -> FloatArray:
    """Weight of each row in the difference of means: 1/N_current, or -1/N_reference; shape (n,)."""
    total = int(current.sum())
    return np.where(current, 1 / total, -1 / (current.size - total))


def user_sums(values: FloatArray, current: NDArray[np.bool_], users: NDArray[np.int64]) -> FloatArray:
    """Each user's contribution to the difference of means.

    Args:
        values: Features, shape (n, d).
        current: Whether a row is in the current window, shape (n,); both windows hold rows.
        users: User of each row in 0..U-1, shape (n,).

    Returns:
        Contributions, shape (U, d); they sum over users to the mean of the current minus that of the reference rows.
    """
    weighted = (values - values.mean(axis=0)) * row_weights(current)[:, None]
    sums = np.zeros((int(users.max()) + 1, values.shape[1]))
    np.add.at(sums, users, weighted)
    return sums


def difference(
    values: FloatArray, current: NDArray[np.bool_], users: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Difference of the windows' means with its user-clustered standard error.

    Args:
        values: Features, shape (n, d).
        current: Whether a row is in the current window, shape (n,).
        users: User of each row, shape (n,).

    Returns:
        Current minus reference mean, shape (d,), and standard error (CR1: times U / (U - 1)), shape (d,).
    """
    means = np.where(current[:, None], values[current].mean(axis=0), values[~current].mean(axis=0))
    sums = np.zeros((int(users.max()) + 1, values.shape[1]))
    np.add.at(sums, users, (values - means) * row_weights(current)[:, None])
    people = len(np.unique(users))
    error = np.sqrt((sums**2).sum(axis=0) * people / max(people - 1, 1))
    return values[current].mean(axis=0) - values[~current].mean(axis=0), error


def flip_p(
    statistic: Callable[[FloatArray], FloatArray], sums: FloatArray, flips: int, seed: int
) -> tuple[float, float]:
    """p-value of a statistic of the difference of means.

    Args:
        statistic: Function of differences, shape (b, d) to (b,); larger means more different.
        sums: Users' contributions, shape (U, d).
        flips: Random sign flips.
        seed: Seed of the flips.

    Returns:
        Observed statistic and p-value, at least 1 / (flips + 1) (Phipson & Smyth 2010: never zero).
    """
    observed = float(statistic(sums.sum(axis=0, keepdims=True))[0])
    random = np.random.default_rng(seed)
    bar = observed - 1e-9 * max(abs(observed), 1e-300)
    hits, done = 0, 0
    while done < flips:
        size = min(_CHUNK, flips - done)
        signs = random.integers(0, 2, size=(size, sums.shape[0]), dtype=np.int8) * 2.0 - 1
        hits += int((statistic(signs @ sums) >= bar).sum())
        done += size
    return observed, (hits + 1) / (flips + 1)

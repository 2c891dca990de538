"""Shares with intervals whose unit is the user.

Clopper-Pearson limits at the effective sample size (Korn & Graubard 1998, Survey Methodology 24:193): the number of
cases is divided by the design effect, so that many cases of one user do not pass for many users.
"""

from dataclasses import dataclass

import numpy as np

from flywheel.components.curation.clustering.users import NOBODY
from flywheel.components.statistics.cluster_mean import cluster_mean

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Share:
    """A share with its interval.

    Attributes:
        count: Cases that count.
        of: Cases in all.
        share: ``count / of``; 0 for no case.
        lower: Lower limit, 95 %.
        upper: Upper limit, 95 %.
    """

    count: int
    of: int
    share: float
    lower: float
    upper: float


def share(counts: np.ndarray, users: np.ndarray) -> Share:
    """Share of the cases that count.

    Args:
        counts: Whether each case counts, bool (n,).
        users: Number of each case's user, int (n,); each case of `NOBODY` has a user of its own.

    Returns:
        The share; without a case, or with one user only, nothing is known and the limits are 0 and 1.
    """
    n, x = len(counts), int(np.count_nonzero(counts))
    if n == 0:
        return Share(0, 0, 0.0, 0.0, 1.0)
    alone = np.where(users == NOBODY, -1 - np.arange(n), users)
    codes = np.unique(alone, return_inverse=True)[1].astype(np.int64)
    total = int(codes.max()) + 1
    if total < 2:
        return Share(x, n, round(x / n, 6), 0.0, 1.0)
    mean = cluster_mean(np.asarray(counts, np.float64), codes, total)
    effective = n / mean.design_effect
    lower, upper = _limits(mean.mean * effective, effective)
    return Share(x, n, round(x / n, 6), round(lower, 6), round(upper, 6))


def _limits(x: float, n: float) -> tuple[float, float]:
    from scipy.special import betaincinv

    tail = (1 - CONFIDENCE) / 2
    lower = 0.0 if x <= 0 else float(betaincinv(x, n - x + 1, tail))
    upper = 1.0 if x >= n else float(betaincinv(x + 1, n - x, 1 - tail))
    return lower, upper

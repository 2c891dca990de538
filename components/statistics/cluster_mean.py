"""Mean of clustered values with a variance that does not pretend the turns of one user are independent.

Source: Bell & McCaffrey (2002), Survey Methodology 28:169 (CR3, the cluster jackknife); Carter, Schnepel &
Steigerwald (2017), Rev. Econ. Stat. 99:698 (effective number of clusters); Satterthwaite (1946), Biometrics Bull. 2:110
(degrees of freedom from what the clusters contribute); Kish (1965), Survey Sampling (design effect); Miller (2024),
arXiv:2411.00640 (clustered errors of LLM evaluations).
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from flywheel.components.statistics.checked import FloatArray, IntArray

_FEW = 10
"""Fewer non-constant clusters than this say nothing about the design effect."""


@dataclass(frozen=True)
class ClusterMean:
    """Mean over items and its cluster-robust uncertainty.

    Attributes:
        mean: Mean over the n items, in the unit of the values.
        variance: Jackknife (CR3) variance of the mean, unit squared.
        naive_variance: Variance of the mean if items were independent, unit squared.
        freedom: Degrees of freedom for Student's t: effective number of clusters minus one, at least 1.
        n: Items.
        clusters: Clusters G.
        worst_design_effect: Design effect if all values of a cluster were equal, ``sum(n_g^2) / n``.
        informative: Clusters that hold at least one value that differs from the most common one.
        contributing: Effective number of clusters that the variance rests on, ``(sum u_g^2)^2 / sum u_g^4`` for the
            clusters' contributions u_g: one cluster that swings everything leaves 1, whatever G is.
    """

    mean: float
    variance: float
    naive_variance: float
    freedom: float
    n: int
    clusters: int
    worst_design_effect: float
    informative: int
    contributing: float

    @property
    def standard_error(self) -> float:
        """Square root of the cluster-robust variance."""
        return math.sqrt(self.variance)

    @property
    def design_effect(self) -> float:
        """Variance inflation by clustering, at least 1; the worst case when too few clusters can tell."""
        if self.informative < _FEW or self.naive_variance == 0:
            return max(1.0, self.worst_design_effect)
        return max(1.0, self.variance / self.naive_variance)

    @property
    def cautious_freedom(self) -> float:
        """Degrees of freedom that also count what each cluster contributed, at least 1 (Satterthwaite)."""
        return max(1.0, min(self.freedom, self.contributing))

    def design_effect_limit(self, risk: float = 0.05) -> float:
        """Upper limit of the design effect: what the variance inflation may be when few clusters have shown it.

        The estimate is a variance ratio on ``cautious_freedom`` degrees of freedom; the chi-square limit is taken, and
        never more than the worst case, in which all values of a cluster are equal.

        Args:
            risk: Chance that the truth lies above, in (0, 1).

        Returns:
            Limit, at least 1.
        """
        worst = max(1.0, self.worst_design_effect)
        if self.informative < _FEW or self.naive_variance == 0:
            return worst
        freedom = self.cautious_freedom
        return min(worst, self.design_effect * freedom / float(special.chdtri(freedom, 1 - risk)))


def cluster_mean(values: FloatArray, codes: IntArray, clusters: int) -> ClusterMean:
    """Mean over items, with the linearised jackknife (CR3) variance over clusters.

    With clusters of equal size the variance is the textbook one of the cluster means and the degrees of
    freedom are G - 1. With unequal sizes the degrees of freedom follow the effective number of clusters
    ``n^2 / sum(n_g^2)``, so one very active user cannot pass for many.

    Args:
        values: Values, shape (n,).
        codes: Cluster number of each value in 0..G-1, shape (n,).
        clusters: Number of clusters G, at least 2.

    Returns:
        The mean and its uncertainty.
    """
    n = values.size
    mean = float(values.mean())
    sizes = np.bincount(codes, minlength=clusters).astype(np.float64)
    sums = np.bincount(codes, weights=values - mean, minlength=clusters)
    parts = (sums / (n - sizes)) ** 2
    variance = float(parts.sum() * (clusters - 1) / clusters)
    spread = float(((values - mean) ** 2).sum())
    scale = float(np.abs(values).max())
    if spread <= (1e-12 * scale) ** 2 * n:  # rounding dust of a constant sample
        spread = variance = 0.0
    levels, where = np.unique(values, return_inverse=True)
    common = levels[np.bincount(where.ravel()).argmax()]
    worst = float((sizes**2).sum() / n)
    return ClusterMean(
        mean=mean,
        variance=variance,
        naive_variance=spread / (n * (n - 1)),
        freedom=max(1.0, n / worst - 1),
        n=int(n),
        clusters=int(clusters),
        worst_design_effect=worst,
        informative=int(np.count_nonzero(np.bincount(codes[values != common], minlength=clusters))),
        contributing=float(parts.sum() ** 2 / (parts**2).sum()) if variance else 0.0,
    )

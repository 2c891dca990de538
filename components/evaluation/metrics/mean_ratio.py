"""Ratio of means of a quantity that costs: tokens per answer, or what they are billed at."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from flywheel.components.evaluation.metrics.finding import Finding, Levels
from flywheel.components.statistics.ratio_of_means import paired_log_ratio, ratio_noninferiority_p

Column = NDArray[np.float64]
Labels = NDArray[np.str_] | NDArray[np.int64]


def compare(
    candidate: Column,
    production: Column,
    clusters: Labels,
    max_ratio: float,
    levels: Levels,
    unit: str = "tokens per answer",
) -> Finding:
    """Compare the means of a quantity, candidate over production.

    Args:
        candidate: Quantity per answer, not negative, shape (n,).
        production: The same on the same items, shape (n,).
        clusters: Cluster of each item, shape (n,).
        max_ratio: Largest tolerable ratio, above 1.
        levels: Error rate and power.
        unit: What is compared, in words.

    Returns:
        The finding.

    Raises:
        ValueError: Fewer than two clusters, or one of the models never said anything.
    """
    result = paired_log_ratio(candidate, production, clusters, 1 - 2 * levels.alpha)
    room = math.log(max_ratio)
    spread = float(stats.norm.isf(levels.alpha) + stats.norm.isf(1 - levels.power)) * result.log_standard_error
    return Finding(
        scale="ratio",
        unit=unit,
        direction="lower",
        n=result.n,
        clusters=result.clusters,
        production=float(production.mean()),
        candidate=float(candidate.mean()),
        value=result.ratio,
        lower=result.interval.lower,
        upper=result.interval.upper,
        test="paired ratio of means, cluster-robust delta method (Deng, Knoblich & Lu 2018)",
        p_superior=None,
        p_safe=ratio_noninferiority_p(candidate, production, clusters, max_ratio),
        p_harm=ratio_noninferiority_p(production, candidate, clusters, 1 / max_ratio),
        n_needed=lambda: max(8, math.ceil(result.n * (spread / room) ** 2)),
    )

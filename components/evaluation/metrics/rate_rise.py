"""Rise of the rate of an unwanted event on the same items: the mirror image of a loss of accuracy.

An event that does not happen counts as right, so the tests, their exactness and their treatment of clusters are those
of `accuracy`; only the signs turn.
"""

from dataclasses import replace

from numpy.typing import NDArray

from flywheel.components.evaluation.metrics import accuracy
from flywheel.components.evaluation.metrics.finding import Finding, Levels
from flywheel.components.evaluation.metrics.paired_rows import Column


def compare(
    candidate: Column, production: Column, clusters: NDArray, margin: float, levels: Levels, seed: int, unit: str
) -> Finding:
    """Compare how often something unwanted happens.

    Args:
        candidate: 1 where it happens with the candidate, else 0; shape (n,).
        production: 1 where it happens with production, else 0; shape (n,).
        clusters: Cluster of each item, shape (n,).
        margin: Largest tolerable rise of the rate, in (0, 1).
        levels: Error rate and power.
        seed: Seed of anything random.
        unit: What the rate counts, in words.

    Returns:
        The finding; lower is better and `value` is candidate minus production.

    Raises:
        ValueError: Fewer than two clusters, or values that are no outcomes.
    """
    found = accuracy.compare(1 - candidate, 1 - production, clusters, margin, levels, None, seed)
    return replace(
        found,
        unit=unit,
        direction="lower",
        production=1 - found.production,
        candidate=1 - found.candidate,
        value=0.0 - found.value,
        lower=0.0 - found.upper,
        upper=0.0 - found.lower,
    )

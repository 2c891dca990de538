"""Several tests, one error rate: Holm, Bonferroni, intersection-union and a shared alpha.

Source: Holm (1979), Scand. J. Stat. 6:65; Berger (1982), Technometrics 24:295 (intersection-union).
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike

from flywheel.components.statistics.checked import fraction, sample

Name = TypeVar("Name")


def holm(p_values: ArrayLike) -> list[float]:
    """Holm's step-down adjustment; valid under any dependence and never weaker than Bonferroni.

    Args:
        p_values: p-values, shape (k,), in any order.

    Returns:
        Adjusted p-values in the order given; reject where the value is at most alpha.

    Raises:
        ValueError: If empty, NaN or outside [0, 1].
    """
    p = sample(p_values, "p_values", 0, 1)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * (p.size - np.arange(p.size))))
    return [float(value) for value in adjusted]


def bonferroni(p_values: ArrayLike) -> list[float]:
    """Bonferroni's adjustment: each p-value times their number, at most 1.

    Args:
        p_values: p-values, shape (k,).

    Returns:
        Adjusted p-values in the order given.

    Raises:
        ValueError: If empty, NaN or outside [0, 1].
    """
    p = sample(p_values, "p_values", 0, 1)
    return [float(value) for value in np.minimum(1, p * p.size)]


def intersection_union(p_values: ArrayLike) -> float:
    """p-value of "all of them": the largest, with no correction needed.

    Every guardrail must be non-inferior, so the claim is wrong only if the worst of them is wrong.

    Args:
        p_values: p-values, shape (k,).

    Returns:
        The largest p-value.

    Raises:
        ValueError: If empty, NaN or outside [0, 1].
    """
    return float(sample(p_values, "p_values", 0, 1).max())


@overload
def split_alpha(alpha: float, weights: Mapping[Name, float]) -> dict[Name, float]: ...


@overload
def split_alpha(alpha: float, weights: Sequence[float]) -> list[float]: ...


def split_alpha(alpha: float, weights: Mapping[Name, float] | Sequence[float]) -> dict[Name, float] | list[float]:
    """Spread an error rate over several decisions in proportion to weights fixed in advance (Bonferroni).

    Args:
        alpha: Error rate to spread, in (0, 1).
        weights: Positive weights, as a list or by name; they need not sum to 1.

    Returns:
        Shares of alpha in the shape given; they sum to alpha.

    Raises:
        ValueError: If alpha is out of range or a weight is not positive and finite.
    """
    fraction(alpha, "alpha")
    values = weights.values() if isinstance(weights, Mapping) else weights
    parts = sample(list(values), "weights")
    if parts.min() <= 0:
        raise ValueError(f"weights must be positive, got {parts.min()}")
    shares = [float(share) for share in alpha * parts / parts.sum()]
    return dict(zip(weights, shares, strict=True)) if isinstance(weights, Mapping) else shares

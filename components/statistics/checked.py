"""Checked inputs: every number that enters a decision is looked at first, and a bad one raises.

A NaN that slips into a mean turns every comparison false, and a false "harmful?" ships a model.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def sample(values: ArrayLike, name: str, low: float = -math.inf, high: float = math.inf, least: int = 1) -> FloatArray:
    """Return ``values`` as a finite float vector.

    Args:
        values: Numbers, shape (n,).
        name: What to call them in an error.
        low: Smallest value allowed.
        high: Largest value allowed.
        least: Fewest values allowed.

    Returns:
        Float array of shape (n,).

    Raises:
        ValueError: If the shape is not (n,), n < ``least``, or a value is NaN, infinite or out of range.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, got shape {array.shape}")
    if array.size < least:
        raise ValueError(f"{name} needs at least {least} values, got {array.size}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinite values (first at index {int(np.argmin(np.isfinite(array)))})")
    if array.size and (array.min() < low or array.max() > high):
        raise ValueError(f"{name} must lie in [{low}, {high}], got [{array.min()}, {array.max()}]")
    return array


def pair(candidate: ArrayLike, production: ArrayLike, low: float = -math.inf) -> tuple[FloatArray, FloatArray]:
    """Return two finite vectors of one length: both arms measured on the same items.

    Args:
        candidate: Candidate's values, shape (n,).
        production: Production's values on the same items in the same order, shape (n,).
        low: Smallest value allowed.

    Returns:
        Two float arrays of shape (n,).

    Raises:
        ValueError: If the lengths differ or either sample is bad.
    """
    first, second = sample(candidate, "candidate", low=low), sample(production, "production", low=low)
    if first.size != second.size:
        raise ValueError(f"paired samples differ in length: candidate {first.size}, production {second.size}")
    return first, second


def cluster_codes(clusters: Sequence[Any] | NDArray[Any] | None, n: int, least: int = 2) -> tuple[IntArray, int]:
    """Number the clusters 0..G-1.

    Args:
        clusters: Cluster label of each item, shape (n,), of any sortable type; None makes every item its own.
        n: Number of items.
        least: Fewest clusters allowed.

    Returns:
        Codes of shape (n,) and the number of clusters G.

    Raises:
        ValueError: If the length is not n, a label is missing (None or NaN) or G < ``least``.
    """
    if clusters is None:
        codes, total = np.arange(n, dtype=np.int64), n
    else:
        labels = np.asarray(clusters)
        if labels.shape != (n,):
            raise ValueError(f"clusters must have shape ({n},), got {labels.shape}")
        able = labels.dtype.kind in "Of"  # numbers and text of numpy cannot be missing, and there may be many
        if able and any(label is None or (isinstance(label, float) and math.isnan(label)) for label in labels.tolist()):
            raise ValueError("clusters holds a missing label (None or NaN)")
        names, codes = np.unique(labels, return_inverse=True)
        codes, total = codes.astype(np.int64).ravel(), len(names)
    if total < least:
        raise ValueError(f"needs at least {least} clusters, got {total}")
    return codes, total


def fraction(value: float, name: str) -> float:
    """Return ``value`` if it lies in the open interval (0, 1).

    Args:
        value: Number to check.
        name: What to call it in an error.

    Returns:
        The value as a float.

    Raises:
        ValueError: If it does not lie in (0, 1) or is NaN.
    """
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie in (0, 1), got {value}")
    return float(value)


def count(value: float, name: str, least: int = 0) -> int:
    """Return ``value`` as an int if it is a whole number that is large enough.

    Args:
        value: Number to check.
        name: What to call it in an error.
        least: Smallest count allowed.

    Returns:
        The value as an int.

    Raises:
        ValueError: If it is not whole, NaN, infinite or below ``least``.
    """
    if not math.isfinite(value) or value != int(value):
        raise ValueError(f"{name} must be a whole number, got {value}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return int(value)


def choice(value: str, name: str, allowed: tuple[str, ...]) -> str:
    """Return ``value`` if it is one of the allowed words.

    Args:
        value: Word to check.
        name: What to call it in an error.
        allowed: Words to choose from.

    Returns:
        The word.

    Raises:
        ValueError: If it is another word.
    """
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    return value

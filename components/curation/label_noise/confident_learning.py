"""Confident learning: which given labels are probably wrong, and how many, without a second look at any of them.

A row counts as confidently of class j when its out-of-fold probability of j reaches the mean probability of j among
the rows that are labelled j. Rows that are labelled i and confidently of class j are the suspects; their count,
calibrated to the label counts, estimates the joint distribution of given and true labels.

Source: Northcutt, Jiang & Chuang (2021), "Confident learning: estimating uncertainty in dataset labels", JAIR 70:1373,
arXiv:1911.00068: equation (1) (counts), equation (3) (calibration), section 3.2 (pruning by noise rate).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from flywheel.components.statistics.checked import FloatArray, IntArray


@dataclass(frozen=True)
class LabelNoise:
    """What confident learning found.

    Attributes:
        joint: Estimated joint distribution of given (rows) and true (columns) label, shape (K, K), sums to 1.
        rate: Estimated share of wrong labels, the sum off the diagonal, in [0, 1].
        suspects: Indices of the rows whose label is probably wrong, the most doubtful first.
        better: For each suspect the class that the model would give.
        doubt: For each suspect the probability of the better class minus that of the given one, in [-1, 1].
    """

    joint: FloatArray
    rate: float
    suspects: list[int]
    better: list[int]
    doubt: list[float]


def confident_joint(labels: ArrayLike, chances: ArrayLike) -> IntArray:
    """Count rows by given label and confident class, before calibration.

    Args:
        labels: Given labels 0..K-1, shape (n,).
        chances: Out-of-fold class probabilities, shape (n, K).

    Returns:
        Counts, shape (K, K); rows that are confidently of no class are not counted. Of several confident classes the
        most probable one counts.

    Raises:
        ValueError: Shapes or values do not fit, or a class has no labelled row.
    """
    given, matrix = _checked(labels, chances)
    sure, counted = _confident(given, matrix)
    joint = np.zeros((matrix.shape[1], matrix.shape[1]), dtype=np.int64)
    np.add.at(joint, (given[counted], sure[counted]), 1)
    return joint


def label_noise(labels: ArrayLike, chances: ArrayLike, by: str = "confident") -> LabelNoise:
    """Find the labels that are probably wrong and estimate how many are.

    Args:
        labels: Given labels 0..K-1, shape (n,).
        chances: Out-of-fold class probabilities, shape (n, K); in-sample probabilities would agree with any label.
        by: `confident`: all rows counted off the diagonal, unless the given class is the most probable one after all;
            `noise_rate`: of each pair of classes as many rows as the calibrated joint expects, those with the largest
            margin.

    Returns:
        The estimate and the suspects.

    Raises:
        ValueError: Shapes or values do not fit, a class has no labelled row, or `by` is unknown.
    """
    given, matrix = _checked(labels, chances)
    sure, counted = _confident(given, matrix)
    counts = np.zeros((matrix.shape[1], matrix.shape[1]), dtype=np.float64)
    np.add.at(counts, (given[counted], sure[counted]), 1)
    sizes = np.bincount(given, minlength=matrix.shape[1]).astype(np.float64)
    empty = counts.sum(axis=1) == 0
    counts[empty, empty] = 1  # nothing confident in this class: no evidence that its labels are wrong
    joint = counts / counts.sum(axis=1, keepdims=True) * (sizes / given.size)[:, None]
    rows = np.arange(given.size)
    if by == "confident":
        chosen = counted & (sure != given) & (matrix.argmax(axis=1) != given)
        better = sure
    elif by == "noise_rate":
        chosen, better = _largest_margins(given, matrix, joint)
    else:
        raise ValueError(f"by must be 'confident' or 'noise_rate', got {by!r}")
    doubt = matrix[rows, better] - matrix[rows, given]
    order = sorted(np.flatnonzero(chosen).tolist(), key=lambda row: (-float(doubt[row]), row))
    return LabelNoise(
        joint=joint,
        rate=float(joint.sum() - np.trace(joint)),
        suspects=order,
        better=[int(better[row]) for row in order],
        doubt=[float(doubt[row]) for row in order],
    )


def _checked(labels: ArrayLike, chances: ArrayLike) -> tuple[IntArray, FloatArray]:
    given, matrix = np.asarray(labels), np.asarray(chances, dtype=np.float64)
    if matrix.ndim != 2 or given.shape != (len(matrix),) or not given.size:
        raise ValueError(
            f"labels of shape (n,) and chances of shape (n, K) are needed, got {given.shape}, {matrix.shape}"
        )
    if given.dtype.kind not in "iu" or given.min() < 0 or given.max() >= matrix.shape[1]:
        raise ValueError(f"labels must be whole numbers from 0 to {matrix.shape[1] - 1}")
    if not np.isfinite(matrix).all() or matrix.min() < -1e-9 or abs(matrix.sum(axis=1) - 1).max() > 1e-6:
        raise ValueError("chances must be probabilities: finite, not negative, every row summing to 1")
    missing = sorted(set(range(matrix.shape[1])) - set(given.tolist()))
    if missing:
        raise ValueError(f"no row is labelled {missing}; leave classes without labels out of the matrix")
    return given.astype(np.int64), matrix


def _confident(given: IntArray, matrix: FloatArray) -> tuple[IntArray, np.ndarray]:
    """Most probable confident class of each row, and whether it has any."""
    thresholds = np.array([matrix[given == label, label].mean() for label in range(matrix.shape[1])])
    able = matrix >= thresholds - 1e-6  # the mean of equal numbers may lie above all of them by rounding
    return np.where(able, matrix, -1.0).argmax(axis=1).astype(np.int64), able.any(axis=1)


def _largest_margins(given: IntArray, matrix: FloatArray, joint: FloatArray) -> tuple[np.ndarray, IntArray]:
    chosen = np.zeros(given.size, dtype=bool)
    better = matrix.argmax(axis=1).astype(np.int64)
    for label in range(matrix.shape[1]):
        rows = np.flatnonzero(given == label)
        for other in range(matrix.shape[1]):
            wanted = round(float(joint[label, other]) * given.size) if other != label else 0
            margin = matrix[rows, other] - matrix[rows, label]
            chosen[rows[np.argsort(-margin, kind="stable")[:wanted]]] = True
    return chosen & (better != given), better

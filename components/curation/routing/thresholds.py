"""The acceptance threshold of each category, and when it may no longer be relied on.

Labels start it; answers to the random audit take over, the newest ones only. Two things close a category under drift:

* The answers count among the calibration rows. When the lower bound of the precision falls under the target, the
  threshold rises, and where no threshold can be guaranteed the category abstains.
* Labels of another time dilute that. So the newest 10, 20, 40, ... answered ones that would be accepted are also tested
  on their own: when a category that is exactly as good as promised would do so badly in less than `FALSE_ALARMS` of
  runs, everything before them is forgotten. What is left is too little to guarantee anything, and the category stays
  closed until new answers can (`routing.audit` asks for more of a closed category).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from flywheel.components.curation.categories.category import CATEGORIES
from flywheel.components.statistics.binomial_bounds import upper_bound
from flywheel.components.statistics.precision_threshold import ThresholdChoice, choose_threshold

LEAST_LABELS = 20  # below, no threshold is even tried
ENOUGH_ANSWERS = 300  # with as many audit answers of a category, older labels are left out
WINDOW = 500  # newest audit answers of a category that count
FALSE_ALARMS = 0.05
"""Chance in a run that a category is closed although its accepted rows have exactly the target precision."""

_STEP = 0.02  # between acceptance fractions
_STARTS = ((1, 0.5), (4, 0.3))  # wrong labels that a start forgives, and its share of delta; the rest is for "all"
_LOOKS = (10, 20, 40, 80, 160, 320)  # newest answers tested on their own; they share FALSE_ALARMS

Calibration = Mapping[str, Sequence[Any]]
"""predicted, scores, correct: out of fold, one entry per labelled row; and optionally audited: the time of an audit
answer (ISO, so that they sort), "" for a label."""

ABSTAIN = ThresholdChoice(None, 0.0, None, None, 0)


@dataclass(frozen=True)
class CategoryThreshold:
    """A category's threshold and what it rests on.

    Attributes:
        choice: The threshold; None in it: abstain.
        labels: Labels it rests on.
        answers: Audit answers it rests on.
        closed_by_audit: Whether the newest audit answers contradicted what older rows promise.
    """

    choice: ThresholdChoice
    labels: int
    answers: int
    closed_by_audit: bool = False

    @property
    def threshold(self) -> float | None:
        """Least confidence to accept; None: abstain."""
        return self.choice.threshold


def thresholds(calibration: Calibration, target: float, confidence: float) -> dict[str, CategoryThreshold]:
    """Choose the acceptance threshold of each category.

    The allowed error 1 - confidence is divided by the number of categories, so that the promise holds for all of them
    together.

    Raises:
        ValueError: `target` or `confidence` is not inside (0, 1).
    """
    for name, value in (("target_precision", target), ("confidence", confidence)):
        if not 0 < value < 1:
            raise ValueError(f"{name} must lie in (0, 1), got {value}")
    delta = (1 - confidence) / len(CATEGORIES)
    predicted = np.asarray(calibration["predicted"], dtype=object)
    scores = np.asarray(calibration["scores"], dtype=float)
    correct = np.asarray(calibration["correct"], dtype=float)
    times = np.asarray(calibration.get("audited") or [""] * len(scores), dtype=object)
    chosen = {}
    for category in CATEGORIES:
        mine = predicted == category
        audited = mine & (times != "")
        order = np.argsort(times[audited].astype(str), kind="stable")[-WINDOW:]
        labels = scores[mine & ~audited], correct[mine & ~audited]
        answers = scores[audited][order], correct[audited][order]
        chosen[category] = category_threshold(labels, answers, target, delta)
    return chosen


Rows = tuple[np.ndarray, np.ndarray]  # scores, correct


def category_threshold(labels: Rows, answers: Rows, target: float, delta: float) -> CategoryThreshold:
    """Choose the threshold of one category.

    Args:
        labels: Scores and correctness of labelled rows, each of shape (n,).
        answers: The same of audited rows, the newest last.
        target: Precision to guarantee.
        delta: Chance of missing it.
    """
    base = (labels[0][:0], labels[1][:0]) if answers[0].size >= ENOUGH_ANSWERS else labels
    found = _choose(base, answers, target, delta)
    start = _contradiction(answers, found.threshold, target)
    if start is None:
        return CategoryThreshold(found, base[0].size, answers[0].size)
    newest = answers[0][start:], answers[1][start:]
    again = _choose((base[0][:0], base[1][:0]), newest, target, delta)
    return CategoryThreshold(again, 0, newest[0].size, closed_by_audit=again.threshold is None)


def _choose(labels: Rows, answers: Rows, target: float, delta: float) -> ThresholdChoice:
    scores, correct = np.concatenate([labels[0], answers[0]]), np.concatenate([labels[1], answers[1]])
    if scores.size < LEAST_LABELS:
        return ABSTAIN
    return choose_threshold(scores, correct, target, delta, *_walk(scores.size, target, delta))


def _contradiction(answers: Rows, threshold: float | None, target: float) -> int | None:
    """Where the answers begin that a precision of `target` above the threshold cannot explain; None: nowhere."""
    if threshold is None:
        return None
    above = np.flatnonzero(answers[0] >= threshold)
    right = answers[1][above]
    for look in reversed(_LOOKS):
        if look <= above.size and upper_bound(int(right[-look:].sum()), look, 1 - FALSE_ALARMS / len(_LOOKS)) < target:
            return int(above[-look])
    return None


@cache
def _walk(labels: int, target: float, delta: float) -> tuple[tuple[float, ...], dict[float, float]]:
    """Acceptance fractions to test, and the share of delta that each start gets; depends on the number of labels only.

    A walk from the strictest fractions would stop at the first mislabelled row. So the starts are the fractions that
    forgive one wrong label and four, and everything: of the schemes tried, the one nearest to an oracle at 300 and at
    1,000 labels.
    """

    def forgiving(errors: int, share: float) -> float:
        allowed = (n for n in range(errors, labels) if upper_bound(errors, n, 1 - share * delta) <= 1 - target)
        return min(1.0, math.ceil(next(allowed, labels) / labels / _STEP) * _STEP)

    first = round(forgiving(*_STARTS[0]), 4)
    grid = [round(first + _STEP * step, 4) for step in range(math.ceil((1 - first) / _STEP - 1e-9))] + [1.0]
    starts: dict[float, float] = {}
    for errors, share in _STARTS:
        start = min(grid, key=lambda part: abs(part - forgiving(errors, share)))
        starts[start] = round(starts.get(start, 0.0) + share, 6)
    starts[1.0] = round(starts.get(1.0, 0.0) + 1 - sum(share for _, share in _STARTS), 6)
    return tuple(grid), starts

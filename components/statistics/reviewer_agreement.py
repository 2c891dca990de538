"""Krippendorff's alpha: how far reviewers agree beyond chance, with missing answers and any number of reviewers.

Sources: Krippendorff (2011), "Computing Krippendorff's alpha-reliability" (nominal data, sections A to C); Hayes &
Krippendorff (2007), "Answering the call for a standard reliability measure for coding data", Communication Methods and
Measures 1:77 (the bootstrap's idea). Here whole units are drawn, because the answers to one unit hang together.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flywheel.components.statistics.checked import fraction


@dataclass(frozen=True)
class Agreement:
    """Agreement of reviewers on nominal answers.

    Attributes:
        alpha: 1 is perfect agreement, 0 what chance gives, below 0 systematic disagreement. None when nothing can be
            said: no unit has two answers, or all answers are the same.
        low: Lower end of the bootstrap interval; None with fewer than two units that have two answers.
        high: Upper end.
        confidence: Of the interval.
        units: Units with at least two answers; the others do not count.
        answers: Answers to them.
        observed_agreement: Share of the pairs of answers to one unit that are equal; None without such a pair.
    """

    alpha: float | None
    low: float | None
    high: float | None
    confidence: float
    units: int
    answers: int
    observed_agreement: float | None


def krippendorff_alpha(
    units: Sequence[Sequence[Hashable | None]],
    confidence: float = 0.95,
    draws: int = 2000,
    seed: int = 17,
) -> Agreement:
    """Krippendorff's alpha for nominal answers.

    alpha = 1 - D_o / D_e over the coincidences: every unit with m >= 2 answers gives each ordered pair of its answers
    the weight 1 / (m - 1); D_e is what the same answers, paired at random, would disagree.

    Args:
        units: The answers to each unit, one per reviewer, in any order; None is a missing answer.
        confidence: Of the percentile interval, in (0, 1).
        draws: Bootstrap draws of whole units.
        seed: Of the draws.

    Returns:
        Alpha and its interval. Draws in which all answers are equal have no alpha and are left out.

    Raises:
        ValueError: `confidence` is not inside (0, 1) or `draws` is not positive.
    """
    fraction(confidence, "confidence")
    if draws < 1:
        raise ValueError(f"draws must be at least 1, got {draws}")
    counts = _counts(units)
    size = counts.sum(axis=1)
    if not len(counts):
        return Agreement(None, None, None, confidence, 0, 0, None)
    equal = (counts * (counts - 1)).sum(axis=1) / (size - 1)  # weight of a unit's pairs of equal answers
    alpha = _alpha(equal.sum()[None], counts.sum(axis=0)[None])[0]
    generator = np.random.default_rng(seed)
    times = generator.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=draws)
    drawn = _alpha(times @ equal, times @ counts)
    drawn = drawn[~np.isnan(drawn)]
    ends: list[float | None] = [None, None]
    if len(counts) > 1 and drawn.size and not np.isnan(alpha):
        ends = [float(end) for end in np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])]
    return Agreement(
        alpha=None if np.isnan(alpha) else float(alpha),
        low=ends[0],
        high=ends[1],
        confidence=confidence,
        units=len(counts),
        answers=int(size.sum()),
        observed_agreement=float(equal.sum() / size.sum()),
    )


def by_reviewer(answers: Mapping[str, Mapping[str, Hashable]]) -> list[list[Hashable | None]]:
    """Arrange answers given as unit -> reviewer -> answer as `krippendorff_alpha` wants them."""
    return [[given[reviewer] for reviewer in sorted(given)] for _, given in sorted(answers.items())]


def _counts(units: Sequence[Sequence[Hashable | None]]) -> np.ndarray:
    """How often each value was given to each unit with two or more answers, shape (units, values), float64."""
    paired = [kept for unit in units if len(kept := [value for value in unit if value is not None]) > 1]
    columns: dict[Hashable, int] = {}
    for unit in paired:
        for value in unit:
            columns.setdefault(value, len(columns))
    counts = np.zeros((len(paired), len(columns)))
    for row, unit in enumerate(paired):
        for value in unit:
            counts[row, columns[value]] += 1
    return counts


def _alpha(equal: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Alpha of each draw, shape (draws,); NaN where all answers are one value.

    Args:
        equal: Weight of pairs of equal answers, shape (draws,).
        totals: Answers by value, shape (draws, values).
    """
    n = totals.sum(axis=1)
    by_chance = n * n - (totals * totals).sum(axis=1)  # ordered pairs of different answers among all
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(by_chance > 0, 1 - (n - 1) * (n - equal) / by_chance, np.nan)

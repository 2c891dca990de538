"""Does the router treat groups alike? Each group against all other rows, with one error rate for the whole table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flywheel.components.curation.bias.rate_difference import Rate, RateDifference, compare, rate_of
from flywheel.components.statistics.multiplicity import holm

LEAST_USERS = 10  # of a group and of the rest; fewer say nothing about users
LEAST_ROWS = 20


@dataclass(frozen=True)
class GroupRate:
    """One group against all others.

    Attributes:
        column: What it is a group by.
        group: Its name.
        rate: Its rate.
        rest: Rate of all other rows.
        difference: Group minus rest; None when either side has too few users or rows.
        adjusted_p: Holm-adjusted p-value over all comparisons; None likewise.
        differs: Whether the difference is larger than the tolerance, at the family-wise error rate.
    """

    column: str
    group: str
    rate: Rate
    rest: Rate | None
    difference: RateDifference | None
    adjusted_p: float | None
    differs: bool


def by_group(
    outcomes: Sequence[bool],
    subjects: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    alpha: float,
    tolerance: float,
) -> list[GroupRate]:
    """Compare each group's rate with that of all other rows.

    A column with two groups is compared once.

    Args:
        outcomes: Whether each row has the outcome, n rows.
        subjects: User of each row, the unit of the statistics.
        groups: Group of each row, by column.
        alpha: Family-wise error rate, in (0, 1): the chance that any group is said to differ by more than the tolerance
            although none does.
        tolerance: Difference of rates that is not worth a word.

    Returns:
        Groups by column, the largest first.
    """
    values = np.asarray(outcomes, dtype=np.float64)
    _, codes = np.unique(np.asarray(subjects, dtype=object).astype(str), return_inverse=True)
    codes = codes.ravel().astype(np.int64)
    drafts: list[tuple[str, str, Rate, Rate | None, RateDifference | None]] = []
    for column, names in groups.items():
        labels = np.asarray(names, dtype=object).astype(str)
        found, sizes = np.unique(labels, return_counts=True)
        for position in np.lexsort((found, -sizes)).tolist():
            inside = labels == found[position]
            rate = rate_of(values[inside], codes[inside])
            rest = rate_of(values[~inside], codes[~inside]) if not inside.all() else None
            mirrored = len(found) == 2 and bool(drafts) and drafts[-1][0] == column
            enough = rest is not None and all(
                side.users >= LEAST_USERS and side.rows >= LEAST_ROWS for side in (rate, rest)
            )
            difference = compare(rate, rest, tolerance) if rest is not None and enough and not mirrored else None
            drafts.append((column, str(found[position]), rate, rest, difference))
    p_values = [draft[4].p for draft in drafts if draft[4] is not None]
    adjusted = iter(holm(p_values) if p_values else [])
    made = []
    for column, name, rate, rest, difference in drafts:
        p = next(adjusted) if difference is not None else None
        made.append(GroupRate(column, name, rate, rest, difference, p, p is not None and p <= alpha))
    return made

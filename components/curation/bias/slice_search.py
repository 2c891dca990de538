"""Slices that nobody named: conjunctions of two or three group memberships in which rows fare worse than elsewhere.

Search as in SliceLine (Sagadeeva & Boehm 2021, "SliceLine: fast, linear-algebra-based slice finding for ML model
debugging", SIGMOD): level by level over one-hot columns, a slice scored by how much worse it is and how large it is,
s = a (mean error in the slice / mean error - 1) - (1 - a) (n / size - 1), and cut off by the upper bound of what its
parts allow. A search over many slices always finds a bad one by chance; so half of the users are searched and the
other half, which had no say in the choice, are tested, Holm-adjusted over the few candidates.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flywheel.components.curation.bias.acceptance import LEAST_ROWS, LEAST_USERS
from flywheel.components.curation.bias.rate_difference import Rate, RateDifference, compare, rate_of
from flywheel.components.statistics.multiplicity import holm

CANDIDATES = 5
_BALANCE = 0.9  # a of the score
Condition = tuple[str, str]  # column and group


@dataclass(frozen=True)
class Slice:
    """A slice that fares worse than all other rows, among users who were not searched.

    Attributes:
        conditions: What its rows have in common.
        rate: Its rate of the bad outcome.
        rest: That of all other rows.
        difference: Slice minus rest.
        adjusted_p: Holm-adjusted over the candidates.
    """

    conditions: tuple[Condition, ...]
    rate: Rate
    rest: Rate
    difference: RateDifference
    adjusted_p: float


def worst_slices(
    bad: Sequence[bool],
    subjects: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    alpha: float,
    tolerance: float,
    levels: int = 3,
    least_share: float = 0.02,
) -> tuple[list[Slice], int]:
    """Find slices of two or more conditions whose rate of a bad outcome is higher than elsewhere.

    Args:
        bad: Whether each row has the bad outcome, n rows.
        subjects: User of each row.
        groups: Group of each row, by column.
        alpha: Chance that any slice is named although no slice is worse by more than the tolerance.
        tolerance: Difference of rates that is not worth a word.
        levels: Most conditions of a slice, 2 or 3.
        least_share: Least share of the searched rows in a slice.

    Returns:
        The slices shown to be worse, the clearest first, and the number of candidates that were tested.

    Raises:
        ValueError: `levels` is not 2 or 3.
    """
    if levels not in (2, 3):
        raise ValueError(f"levels must be 2 or 3, got {levels}")
    values = np.asarray(bad, dtype=np.float64)
    names = np.asarray(subjects, dtype=object).astype(str)
    if values.size == 0:
        return [], 0
    searched = np.array([hashlib.sha256(f"slices\0{name}".encode()).digest()[0] % 2 == 0 for name in names])
    _, codes = np.unique(names, return_inverse=True)
    codes = codes.ravel().astype(np.int64)
    labels = {column: np.asarray(found, dtype=object).astype(str) for column, found in groups.items()}
    chosen = _search(
        values[searched], {column: label[searched] for column, label in labels.items()}, levels, least_share
    )
    tested: list[tuple[tuple[Condition, ...], Rate, Rate, RateDifference]] = []
    for conditions in chosen:
        inside = np.logical_and.reduce([labels[column] == group for column, group in conditions]) & ~searched
        outside = ~inside & ~searched
        if not inside.any() or not outside.any():
            continue
        rate, rest = (rate_of(values[part], codes[part]) for part in (inside, outside))
        if all(side.users >= LEAST_USERS and side.rows >= LEAST_ROWS for side in (rate, rest)):
            tested.append((conditions, rate, rest, compare(rate, rest, tolerance)))
    p_values = [one[3].p if one[3].difference > 0 else 1.0 for one in tested]
    adjusted = holm(p_values) if p_values else []
    found = [Slice(*one, adjusted_p=p) for one, p in zip(tested, adjusted, strict=True) if p <= alpha]
    return sorted(found, key=lambda one: (one.adjusted_p, one.conditions)), len(tested)


def _search(
    values: np.ndarray, labels: Mapping[str, np.ndarray], levels: int, least_share: float
) -> list[tuple[Condition, ...]]:
    """The best-scored slices of two or more conditions, at most `CANDIDATES`, none within another."""
    n, mean = values.size, float(values.mean()) if values.size else 0.0
    if n == 0 or mean == 0:
        return []
    least = max(LEAST_ROWS, int(np.ceil(least_share * n)))
    masks: dict[tuple[Condition, ...], np.ndarray] = {}
    for column, label in labels.items():
        for group in sorted(set(label.tolist())):
            mask = label == group
            if least <= mask.sum() < n:
                masks[((column, group),)] = mask
    single = dict(masks)
    scored: list[tuple[float, tuple[Condition, ...]]] = []
    level = masks
    for _ in range(2, levels + 1):
        best = sorted((score for score, _ in scored), reverse=True)[:CANDIDATES]
        floor = max(0.0, best[-1]) if len(best) == CANDIDATES else 0.0
        wider: dict[tuple[Condition, ...], np.ndarray] = {}
        for conditions, mask in level.items():
            for (condition,), other in single.items():
                if condition[0] <= conditions[-1][0]:  # columns in one order: every set once
                    continue
                both = mask & other
                size, errors = int(both.sum()), float(values[both].sum())
                if size < least or _bound(size, errors, n, mean, least) <= floor:
                    continue
                wider[(*conditions, condition)] = both
                scored.append((_score(size, errors, n, mean), (*conditions, condition)))
        level = wider
    kept: list[tuple[Condition, ...]] = []
    for score, conditions in sorted(scored, key=lambda item: (-item[0], item[1])):
        apart = all(not (set(a) <= set(b)) for one in kept for a, b in ((one, conditions), (conditions, one)))
        if score > 0 and apart and len(kept) < CANDIDATES:
            kept.append(conditions)
    return kept


def _score(size: int, errors: float, n: int, mean: float) -> float:
    return _BALANCE * (errors / size / mean - 1) - (1 - _BALANCE) * (n / size - 1)


def _bound(size: int, errors: float, n: int, mean: float, least: int) -> float:
    """Highest score that a part of a slice can have: all its errors in as few rows as allowed, or all its rows."""
    sizes = {least, size, max(least, min(size, int(np.ceil(errors))))}
    return max(_score(part, min(errors, part), n, mean) for part in sizes)


def describe(conditions: Sequence[Condition]) -> str:
    """A slice in words."""
    return " and ".join(f"{column} is {group}" for column, group in conditions)

"""Which candidates people look at whatever the model thinks: a random sample that keeps the guarantee alive.

The sample is drawn from everything that reached the threshold, accepted or not, so that its answers are exchangeable
with what is routed: they calibrate the next run's thresholds without bias. The draw is by a hash of the content: the
same on every attempt, and nobody can choose not to be looked at.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flywheel.components.store.tables import row_id

SHARE = 0.02  # of a category's candidates
LEAST = 20  # candidates of a category and run, where there are as many
CLOSED = 200  # of a category that abstains: it is all in review, and only answers can open it again
BELOW_THRESHOLD = ("low_confidence", "no_threshold", "audit_failed", "subject_cap")
"""Reasons of candidates that the guards let pass; those sent away by a guard are another population."""


def sample(rows: Sequence[Mapping[str, Any]], chances: Sequence[float] | np.ndarray) -> list[int]:
    """Draw the audit.

    Args:
        rows: Candidates with category, route and reason; those that a human decided on are left out by the caller.
        chances: `chance` of the content of each (`review.contents`).

    Returns:
        Indices of the drawn rows, in the order of their hashes.
    """
    of_category: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        if row["route"] == "accept" or (row["route"] == "review" and row["reason"] in BELOW_THRESHOLD):
            of_category[row["category"]].append(index)
    drawn: list[int] = []
    for indices in of_category.values():
        by_chance = sorted(indices, key=lambda index: (chances[index], rows[index]["interaction_id"]))
        open_ = any(rows[index]["route"] == "accept" for index in indices)
        share = sum(chances[index] < SHARE for index in indices)
        drawn += by_chance[: max(share, LEAST if open_ else CLOSED)]
    return sorted(drawn, key=lambda index: chances[index])


def chance(content: str) -> float:
    """A number in [0, 1) that depends on the content alone."""
    return int(row_id("audit", content)[:8], 16) / 2**32

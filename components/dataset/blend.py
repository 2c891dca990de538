"""Mix corrections with original data, deterministically."""

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeVar

Row = TypeVar("Row")


def rank(identity: str, seed: int, purpose: str) -> str:
    """A random-looking but fixed place for a row: hash of seed, purpose and content."""
    return hashlib.sha256(f"{seed}\0{purpose}\0{identity}".encode()).hexdigest()


def replay_wanted(corrections: int, replay_share: float) -> int:
    """Rows of original data so that they make up `replay_share` of the whole.

    Args:
        corrections: Rows from corrections, c.
        replay_share: Share s of the final rows, 0 to below 1.

    Returns:
        round(c * s / (1 - s)).

    Raises:
        ValueError: The share is not in [0, 1).
    """
    if not 0 <= replay_share < 1:
        raise ValueError(f"replay_share is {replay_share}; give a share from 0 to below 1")
    return round(corrections * replay_share / (1 - replay_share))


def sample(rows: Sequence[Row], count: int, identity: Callable[[Row], str], seed: int) -> list[Row]:
    """Draw without replacement: the `count` rows of the lowest rank.

    A row's rank does not depend on the others, so a few rows more or less change only a few of those drawn.
    """
    return sorted(rows, key=lambda row: rank(identity(row), seed, "sample"))[:count]


def shuffle(rows: Sequence[Row], identity: Callable[[Row], str], seed: int) -> list[Row]:
    """Order rows by rank: sources are mixed, and the order depends on content and seed alone."""
    return sorted(rows, key=lambda row: rank(identity(row), seed, "order"))

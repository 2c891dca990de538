"""Outlines of documents: a few numbers that prove of most pairs that they are no near-duplicates, without their texts.

The distinct character shingles of a field are counted in `PLACES` places by their hash. What two sets do not share
shows in at least as many shingles as their counts differ by, so that sets whose counts differ by more than a Jaccard
similarity allows need no comparison. The proof is exact; it is the other way round that an outline says nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from flywheel.components.curation.duplicates.shingles import mixed

SHINGLE = 3
PLACES = 128


@dataclass(frozen=True)
class Outlines:
    """Outlines of n documents of f fields, 136 bytes a field.

    Attributes:
        words: Words of each field, shape (n, f), int32.
        shingles: Distinct shingles of each field, shape (n, f), int32.
        counts: Shingles in each place, at most 255, shape (n, f, PLACES), uint8.
    """

    words: np.ndarray
    shingles: np.ndarray
    counts: np.ndarray

    def differing(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Shingles that at least one set of a pair has alone, shape (p, f): so many or more."""
        a, b = self.counts[left], self.counts[right]
        return np.asarray((np.maximum(a, b) - np.minimum(a, b)).sum(axis=2, dtype=np.int32))

    def allowed(self, left: np.ndarray, right: np.ndarray, jaccard: float, always: int) -> np.ndarray:
        """Shingles that two sets may not share at the least Jaccard similarity, shape (p, f), and `always` at least.

        Of two sets of a and b elements with the similarity j, (1 - j) / (1 + j) * (a + b) are in one of them only.
        """
        both = self.shingles[left] + self.shingles[right]
        return np.maximum(always, (1 - jaccard) / (1 + jaccard) * both + 1e-6)


def of(documents: Sequence[tuple[str, ...]]) -> Outlines:
    """Make the outlines of documents.

    Args:
        documents: Tuples of normal forms, all of one length.
    """
    shape = len(documents), len(documents[0])
    found = Outlines(np.zeros(shape, np.int32), np.zeros(shape, np.int32), np.zeros((*shape, PLACES), np.uint8))
    for row, document in enumerate(documents):
        for field, text in enumerate(document):
            found.words[row, field] = len(text.split())
            numbers = shingles(text)
            found.shingles[row, field] = len(numbers)
            places = np.bincount((mixed(numbers) % np.uint64(PLACES)).astype(np.int64), minlength=PLACES)
            found.counts[row, field] = np.minimum(places, 255)
    return found


def joined(parts: Sequence[Outlines]) -> Outlines:
    """The outlines of all documents of several."""
    return Outlines(
        *(np.concatenate([getattr(one, name) for one in parts]) for name in ("words", "shingles", "counts"))
    )


def shingles(text: str) -> np.ndarray:
    """The distinct shingles of a text between two spaces, as numbers: its code points side by side, 21 bits each."""
    points = np.frombuffer(f" {text} ".encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    numbers = np.zeros(max(1, len(points) - SHINGLE + 1), dtype=np.uint64)
    for place in range(min(SHINGLE, len(points))):
        numbers |= points[place : place + len(numbers)] << np.uint64(21 * place)
    numbers.sort()
    return numbers[np.concatenate([[True], numbers[1:] != numbers[:-1]])]

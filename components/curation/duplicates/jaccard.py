"""Exact Jaccard similarity of many pairs of documents, by array operations."""

from collections.abc import Callable, Iterable

import numpy as np

from flywheel.components.curation.duplicates.buckets import distinct
from flywheel.components.curation.duplicates.shingles import NONE, Shingles

_PAIRS = 20_000  # verified at once


def similarities(left: np.ndarray, right: np.ndarray, blocks: Callable[[np.ndarray], Iterable[Shingles]]) -> np.ndarray:
    """Jaccard similarity of the sets of distinct shingles of each pair.

    Args:
        left: Document numbers, shape (p,).
        right: Document numbers, shape (p,).
        blocks: Makes the shingles of chosen documents, in the order given.

    Returns:
        Similarities in [0, 1], shape (p,); 0 where a document has no shingles.
    """
    found = [
        _verified(left[start : start + _PAIRS], right[start : start + _PAIRS], blocks)
        for start in range(0, len(left), _PAIRS)
    ]
    return np.concatenate(found) if found else np.zeros(0)


def _verified(left: np.ndarray, right: np.ndarray, blocks: Callable[[np.ndarray], Iterable[Shingles]]) -> np.ndarray:
    documents = distinct(np.concatenate([left, right]))
    bits = max(1, int(len(documents) - 1).bit_length())
    shift, parts, done = np.uint64(64 - bits), [], 0
    for block in blocks(documents):
        lengths = np.diff(block.first)
        owners = np.repeat(np.arange(done, done + len(lengths), dtype=np.uint64), lengths)
        real = block.hashes != NONE
        keys = owners[real] << shift | block.hashes[real] >> np.uint64(bits)
        keys.sort()
        parts.append(keys[np.concatenate([[True], keys[1:] != keys[:-1]])] if len(keys) else keys)
        done += len(lengths)
    sets = np.concatenate(parts)
    first = np.searchsorted(sets, np.arange(len(documents), dtype=np.uint64) << shift)
    sizes = np.diff([*first, len(sets)])
    a, b = np.searchsorted(documents, left), np.searchsorted(documents, right)
    a, b = np.where(sizes[a] <= sizes[b], a, b), np.where(sizes[a] <= sizes[b], b, a)  # look the smaller one up
    counts = sizes[a]
    ends = np.cumsum(counts)
    places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(first[a] - (ends - counts), counts)
    wanted = sets[places] & np.uint64((1 << (64 - bits)) - 1) | np.repeat(b.astype(np.uint64) << shift, counts)
    where = np.minimum(np.searchsorted(sets, wanted), len(sets) - 1)
    common = np.bincount(np.repeat(np.arange(len(a)), counts), sets[where] == wanted, minlength=len(a))
    union = sizes[a] + sizes[b] - common
    return np.divide(common, union, out=np.zeros(len(a)), where=union > 0)

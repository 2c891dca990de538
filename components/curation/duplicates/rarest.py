"""Pairs of documents that have hardly any shingle of their own, by the prefix filter: rarest shingles first.

Of two documents that differ in at most m shingles, one of the m + 1 rarest of either is shared (Bayardo, Ma & Srikant
2007; Xiao et al. 2008). A document is compared with `WINDOW` others of such a shingle at most, in order.
"""

from collections.abc import Callable, Iterator

import numpy as np

from flywheel.components.curation.duplicates.buckets import ROOM, Buckets, distinct

WINDOW = 2000


def pairs(
    rows: Buckets, missing: np.ndarray, many: int, bits: int, groups: Callable[[np.ndarray], np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs that share one of the rarest shingles of either.

    Args:
        rows: All shingles of the documents: rows of the key (hash, shifted left by `bits`, and document) and of how
            many documents have the shingle; the rows of one document lie in one bucket.
        missing: Of each document, how many of its shingles another one may lack, shape (n,).
        many: Shingles of so many documents or fewer have made their pairs already.
        bits: Bits of a document number.
        groups: A number of the group of each of the documents asked for, by what was yielded so far.

    Yields:
        Two arrays of document numbers, left smaller than right; no pair twice in one block.
    """
    low, shift = np.uint64((1 << bits) - 1), np.uint64(bits)
    with Buckets(rows.count * ROOM // 2) as prefixes:
        for bucket in range(rows.count):
            keys, runs = np.ascontiguousarray(rows.take(bucket).T)
            owners = (keys & low).astype(np.int64)
            order = np.lexsort((keys, runs, owners))
            owners = owners[order]
            begin = np.flatnonzero(np.concatenate([[True], owners[1:] != owners[:-1]])) if len(order) else order
            rank = np.arange(len(order)) - np.repeat(begin, np.diff(np.append(begin, len(order))))
            chosen = keys[order[(rank <= missing[owners]) & (runs[order] > many)]]
            prefixes.add(chosen, chosen >> shift & np.uint64(prefixes.count - 1))
        for bucket in range(prefixes.count):
            keys = prefixes.take(bucket)
            keys.sort()
            yield from _windows(keys >> shift, (keys & low).astype(np.int64), bits, groups)


def _windows(
    hashes: np.ndarray, owners: np.ndarray, bits: int, groups: Callable[[np.ndarray], np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for apart in range(1, WINDOW):
        if apart & (apart - 1) == 0:  # at every power of two
            open_ = _not_one_group(hashes, groups(owners))
            hashes, owners = hashes[open_], owners[open_]
        same = np.flatnonzero(hashes[apart:] == hashes[:-apart])
        if not len(same):
            return
        packed = distinct(owners[same] << bits | owners[same + apart])
        yield packed >> bits, packed & ((1 << bits) - 1)


def _not_one_group(hashes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which elements are in a run of equal hashes that has several labels."""
    if not len(hashes):
        return np.zeros(0, dtype=bool)
    begin = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]]))
    several = np.minimum.reduceat(labels, begin) < np.maximum.reduceat(labels, begin)
    return np.repeat(several, np.diff(np.append(begin, len(hashes))))

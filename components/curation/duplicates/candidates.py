"""Candidate pairs of a set-similarity join: which pairs of documents may share a given part of their shingles.

Each document is sampled below one threshold of the hash, the smaller the more shingles it has, so that every document
keeps about equally many (bottom sketches: Broder 1997; Cohen & Kaplan 2007, "Summarizing data using bottom-k
sketches"). Of a pair, everything that it shares below the smaller threshold is in both samples, hence

- a pair that shares the part `share` of its shingles shares sampled ones, all but at most `MISS` of the time,
- and fewer shared ones than `Binomial(sampled, share)` reaches with probability `MISS` prove that it does not.

Documents of few shingles are taken whole: for them both statements are certain. Shingles of many documents
(boilerplate) would pair all of these with one another, so pairs are made of the others; a document that has too few of
the others for the first statement is taken whole, and one that even then has too few is compared through its rarest
shingles, as the prefix filter does (Bayardo, Ma & Srikant 2007, "Scaling up all pairs similarity search"; Xiao et al.
2008, "Efficient similarity joins for near duplicate detection").
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

import numpy as np

from flywheel.components.curation.duplicates.shingles import NONE, Shingles

MISS = 1e-9  # probability of missing one pair
MANY = 24  # a shingle of more documents makes no pairs
WINDOW = 2000  # documents of boilerplate only: one is compared with so many others of the same shingle, in order
_SHARED = 26  # sampled shingles to expect that a pair shares: it shares none with probability exp(-26)

Blocks = Callable[[np.ndarray], Iterable[Shingles]]


@dataclass(frozen=True)
class Sample:
    """Sampled shingles of documents.

    Attributes:
        hashes: Shape (s,), uint64.
        documents: Shape (s,), int64: whose they are.
        counts: Shape (n,), int64: shingles of each document, repetitions counted.
        totals: Shape (n,), uint64: sum of each document's hashes; equal texts have equal counts and sums.
    """

    hashes: np.ndarray
    documents: np.ndarray
    counts: np.ndarray
    totals: np.ndarray


def rate(counts: np.ndarray, share: float) -> np.ndarray:
    """Part of the shingles that is sampled of documents of so many, shape (n,), in (0, 1]; 1: taken whole."""
    return np.minimum(1.0, _SHARED / share / np.maximum(counts, 1))


def sample(blocks: Iterable[Shingles], share: float) -> Sample:
    """Sample documents block by block.

    Args:
        blocks: Shingles of all documents, in order.
        share: Least part of the shared shingles of the pairs to find, in (0, 1]; 0: take every shingle.
    """
    hashes, documents, counts, totals, done = [], [], [], [], 0
    for block in blocks:
        lengths = np.diff(block.first)
        part = rate(block.counts, share) if share else np.ones(len(lengths))
        limits = np.where(part < 1, np.minimum(part, 0.9999) * 2.0**64, 0).astype(np.uint64)
        limits[part >= 1] = NONE
        places = np.flatnonzero(block.hashes < np.repeat(limits, lengths))
        hashes.append(block.hashes[places])
        documents.append(done + np.searchsorted(block.first, places, side="right") - 1)
        counts.append(block.counts)
        sums = np.zeros(len(lengths), dtype=np.uint64)
        some = np.flatnonzero(lengths)
        if len(some):
            sums[some] = np.add.reduceat(block.hashes, block.first[some])
        totals.append(sums)
        done += len(lengths)
    if not counts:
        none = np.zeros(0, dtype=np.int64)
        return Sample(none.astype(np.uint64), none, none, none.astype(np.uint64))
    return Sample(np.concatenate(hashes), np.concatenate(documents), np.concatenate(counts), np.concatenate(totals))


def pairs(
    sampled: Sample, blocks: Blocks, share: float, labels: Callable[[], np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs that may share the part `share` of the distinct shingles of either document.

    Args:
        sampled: Sample of n documents.
        blocks: Makes the shingles of chosen documents again, in the order given.
        share: Least part of the shared shingles, in (0, 1].
        labels: Groups of the documents by what was yielded so far, shape (n,); inside them no pair is of use.

    Yields:
        Two arrays of document numbers, left smaller than right; no pair twice in one block.
    """
    bits = max(1, int(len(sampled.counts) - 1).bit_length())
    low = np.uint64((1 << bits) - 1)
    keys = distinct(sampled.hashes << np.uint64(bits) | sampled.documents.astype(np.uint64))
    rates = rate(sampled.counts, share)
    while True:
        documents = (keys & low).astype(np.int64)
        runs = _run_lengths(keys >> np.uint64(bits))
        rare = runs <= MANY
        found = np.bincount(documents, minlength=len(rates))
        useful = np.bincount(documents[rare], minlength=len(rates))
        part = np.flatnonzero((rates < 1) & (found > 0))  # equal texts but one have no sample
        poor = part[useful[part] < _enough(found[part], share)]
        if not len(poor):
            break
        more = sample(blocks(poor), share=0)
        fresh = more.hashes << np.uint64(bits) | poor[more.documents].astype(np.uint64)
        fresh.sort()
        keys = np.insert(keys, np.searchsorted(keys, fresh), fresh)
        keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
        rates[poor] = 1
    missing = np.floor((1 - share) * found + 1e-9).astype(np.int64)
    least = found - missing
    least[part] = _certain(found[part], share)
    least -= found - useful  # of the shared ones that were not counted, because many have them
    several = rare & (runs > 1)
    left, right, shared = _counted(*_side_by_side(keys[several] >> np.uint64(bits), documents[several], MANY), bits)
    view = np.where(rates[left] <= rates[right], left, right)
    kept = shared >= np.maximum(1, least[view])
    yield left[kept], right[kept]
    lost = (rates == 1) & (useful <= missing) & (found > 0)
    yield from _through_rarest(keys, documents, runs, lost, missing, bits, labels)


def _run_lengths(hashes: np.ndarray) -> np.ndarray:
    """For every element of a sorted array, how often its value occurs."""
    borders = (
        np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1], [True]])) if len(hashes) else np.zeros(1)
    )
    lengths = np.diff(borders)
    return np.repeat(lengths, lengths.astype(np.int64))


def _enough(found: np.ndarray, share: float) -> np.ndarray:
    """Shingles that must be of use among the sampled: that all are unshared then has at most probability `MISS`."""
    table = [_least_count(count, 1 - share, upper=True) for count in range(int(found.max(initial=0)) + 1)]
    return np.array(table, dtype=np.int64)[found]


def _certain(found: np.ndarray, share: float) -> np.ndarray:
    """Shared shingles that a pair of this share reaches, all but `MISS` of the time."""
    table = [_least_count(count, share, upper=False) for count in range(int(found.max(initial=0)) + 1)]
    return np.array(table, dtype=np.int64)[found]


@cache
def _least_count(trials: int, probability: float, upper: bool) -> int:
    """Least k of P(X >= k) <= `MISS` (upper), or the greatest k of P(X < k) <= `MISS`, of a binomial X."""
    masses = [
        math.comb(trials, k) * probability**k * (1 - probability) ** (trials - k)
        for k in (range(trials, -1, -1) if upper else range(trials + 1))
    ]
    within = sum(total <= MISS for total in accumulate(masses))
    return trials + 1 - within if upper else within


def _side_by_side(hashes: np.ndarray, documents: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """All pairs inside the runs of equal hashes, each run at most `longest` long; a pair once a run."""
    left, right = [documents[:0]], [documents[:0]]
    for apart in range(1, min(longest, len(hashes))):
        same = np.flatnonzero(hashes[apart:] == hashes[:-apart])
        if not len(same):
            break
        left.append(documents[same])
        right.append(documents[same + apart])
    return np.concatenate(left), np.concatenate(right)


def _counted(left: np.ndarray, right: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    packed = np.sort(left << bits | right)
    begin = np.flatnonzero(np.concatenate([[True], packed[1:] != packed[:-1]])) if len(packed) else packed
    counts = np.diff([*begin, len(packed)])
    return packed[begin] >> bits, packed[begin] & ((1 << bits) - 1), counts


def distinct(values: np.ndarray) -> np.ndarray:
    """Sorted distinct values, in place; `np.unique` hashes integers since NumPy 2.3, which takes many times as long."""
    values.sort()
    return values[np.concatenate([[True], values[1:] != values[:-1]])] if len(values) else values


def _through_rarest(
    keys: np.ndarray,
    documents: np.ndarray,
    runs: np.ndarray,
    lost: np.ndarray,
    missing: np.ndarray,
    bits: int,
    labels: Callable[[], np.ndarray],
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of documents that have hardly any shingle of their own, by the prefix filter: rarest shingles first."""
    mine = np.flatnonzero(lost[documents])
    if not len(mine):
        return
    order = mine[np.lexsort((keys[mine], runs[mine], documents[mine]))]
    owners = documents[order]
    begin = np.flatnonzero(np.concatenate([[True], owners[1:] != owners[:-1]]))
    rank = np.arange(len(order)) - np.repeat(begin, np.diff([*begin, len(order)]))
    prefix = order[(rank <= missing[owners]) & (runs[order] > MANY)]
    prefix.sort()
    hashes, owners = keys[prefix] >> np.uint64(bits), documents[prefix]
    for apart in range(1, WINDOW):
        if apart & (apart - 1) == 0:  # at every power of two
            open_ = _not_one_group(hashes, labels()[owners])
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
    return np.repeat(several, np.diff([*begin, len(hashes)]))

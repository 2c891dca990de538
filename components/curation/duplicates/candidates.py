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

Sampled shingles and the pairs that they make lie in buckets (`buckets`), so that memory holds one bucket at a time.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate

import numpy as np

from flywheel.components.curation.duplicates import rarest
from flywheel.components.curation.duplicates.buckets import Buckets, distinct
from flywheel.components.curation.duplicates.shingles import NONE, Shingles

MISS = 1e-9  # probability of missing one pair
MANY = 24  # a shingle of more documents makes no pairs
_SHARED = 26  # sampled shingles to expect that a pair shares: it shares none with probability exp(-26)

Blocks = Callable[[np.ndarray], Iterable[Shingles]]


@dataclass(frozen=True)
class Sample:
    """Sampled shingles of n documents.

    Attributes:
        keys: For every sampled shingle its hash, shifted left by `bits`, with the number of its document below.
        bits: Bits of a document number.
        counts: Shape (n,), int32: shingles of each document, repetitions counted.
        totals: Shape (n,), uint64: sum of each document's hashes; equal texts have equal counts and sums.
        sorted: How many keys of each bucket come first, sorted, each once, and only of documents that take part.
    """

    keys: Buckets
    bits: int
    counts: np.ndarray
    totals: np.ndarray
    sorted: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, hashes: np.ndarray, documents: np.ndarray) -> None:
        """Add shingles; those of one hash come into one bucket."""
        keys = hashes << np.uint64(self.bits) | documents.astype(np.uint64)
        self.keys.add(keys, hashes & np.uint64(self.keys.count - 1))

    def documents(self, keys: np.ndarray) -> np.ndarray:
        """Whose shingles the keys are, int64."""
        return (keys & np.uint64((1 << self.bits) - 1)).astype(np.int64)


def rate(counts: np.ndarray, share: float) -> np.ndarray:
    """Part of the shingles that is sampled of documents of so many, shape (n,), in (0, 1]; 1: taken whole."""
    return np.minimum(1.0, _SHARED / share / np.maximum(counts, 1))


def expected(lengths: np.ndarray, share: float) -> int:
    """About how many shingles are sampled of texts of so many characters; decides the number of buckets."""
    return int(np.minimum(lengths // 5 + 1, int(_SHARED / share) + 1).sum())


def sample(blocks: Iterable[Shingles], count: int, share: float, keys: Buckets) -> Sample:
    """Sample documents block by block.

    Args:
        blocks: Shingles of all documents, in order.
        count: Number of documents.
        share: Least part of the shared shingles of the pairs to find, in (0, 1].
        keys: Empty buckets.
    """
    sampled = Sample(
        keys, max(1, (count - 1).bit_length()), np.zeros(count, dtype=np.int32), np.zeros(count, dtype=np.uint64)
    )
    done = 0
    for block in blocks:
        lengths = np.diff(block.first)
        part = rate(block.counts, share)
        limits = np.where(part < 1, np.minimum(part, 0.9999) * 2.0**64, 0).astype(np.uint64)
        limits[part >= 1] = NONE
        places = np.flatnonzero(block.hashes < np.repeat(limits, lengths))
        sampled.add(block.hashes[places], done + np.searchsorted(block.first, places, side="right") - 1)
        sampled.counts[done : done + len(lengths)] = block.counts
        some = np.flatnonzero(lengths)
        if len(some):
            sampled.totals[done + some] = np.add.reduceat(block.hashes, block.first[some])
        done += len(lengths)
    return sampled


def pairs(
    sampled: Sample, alone: np.ndarray, blocks: Blocks, share: float, groups: Callable[[np.ndarray], np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs that may share the part `share` of the distinct shingles of either document.

    Args:
        sampled: Sample of n documents; its keys are used up.
        alone: Documents that take part, shape (n,), bool: of equal ones, one stands for the others.
        blocks: Makes the shingles of chosen documents again, in the order given.
        share: Least part of the shared shingles, in (0, 1].
        groups: A number of the group of each of the documents asked for, by what was yielded so far; inside one, no
            pair is of use.

    Yields:
        Two arrays of document numbers, left smaller than right; no pair twice in one block.
    """
    whole = rate(sampled.counts, share) >= 1
    while True:
        found, useful, couples = _tally(sampled, alone)
        part = np.flatnonzero(~whole & (found > 0))  # equal texts but one have no sample
        poor = part[useful[part] < _enough(found[part], share)]
        if not len(poor):
            break
        done = 0
        for block in blocks(poor):
            owners = np.repeat(poor[done : done + len(block.counts)], np.diff(block.first))
            real = block.hashes != NONE
            sampled.add(block.hashes[real], owners[real])
            done += len(block.counts)
        whole[poor] = True
    missing = np.floor((1 - share) * found + 1e-9).astype(np.int32)
    least = found - missing
    least[part] = _certain(found[part], share)
    common = found - useful  # shingles that make no pairs, because many have them: shared ones are not counted
    lost = whole & (useful <= missing) & (found > 0)
    with Buckets(2 * couples) as together, Buckets(2 * int(found[lost].sum()), width=2) as boilerplate:
        for bucket in range(sampled.keys.count):
            _deal(sampled, sampled.keys.take(bucket), lost, together, boilerplate)
        for bucket in range(together.count):
            yield _enough_shared(together.take(bucket), sampled, whole, found, least, common, share)
        yield from rarest.pairs(boilerplate, missing, MANY, sampled.bits, groups)


def _deal(sampled: Sample, keys: np.ndarray, lost: np.ndarray, together: Buckets, boilerplate: Buckets) -> None:
    """Put pairs that share a shingle into the buckets of their left ones, and the shingles of lost documents too."""
    documents, runs = sampled.documents(keys), run_lengths(keys >> np.uint64(sampled.bits))
    mine = np.flatnonzero(lost[documents])
    if len(mine):
        rows = np.column_stack([keys[mine], runs[mine].astype(np.uint64)])
        boilerplate.add(rows, documents[mine] * boilerplate.count // len(lost))
    several = (runs <= MANY) & (runs > 1)
    keys, documents = keys[several] >> np.uint64(sampled.bits), documents[several]
    del runs, several
    for left, right in _side_by_side(keys, documents, MANY):
        together.add((left << sampled.bits | right).astype(np.uint64), left * together.count // len(lost))


def _tally(sampled: Sample, alone: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Of each document its distinct shingles in the sample and those of them that make pairs; and how many they make.

    The buckets hold their keys sorted afterwards, each once, without the documents that take no part.
    """
    found, useful, couples = np.zeros(len(alone), dtype=np.int32), np.zeros(len(alone), dtype=np.int32), 0
    for bucket in range(sampled.keys.count):
        keys = sampled.keys.take(bucket)
        keys = _merged(keys[: sampled.sorted[bucket]], keys[sampled.sorted[bucket] :])
        documents = sampled.documents(keys)
        if not sampled.sorted[bucket]:
            inside = alone[documents]
            keys, documents = keys[inside], documents[inside]
        sampled.sorted[bucket] = len(keys)
        runs = run_lengths(keys >> np.uint64(sampled.bits))
        rare = runs <= MANY
        found += np.bincount(documents, minlength=len(alone)).astype(np.int32)
        useful += np.bincount(documents[rare], minlength=len(alone)).astype(np.int32)
        couples += int((runs[rare] - 1).sum()) // 2
        sampled.keys.put(bucket, keys)
    return found, useful, couples


def _merged(old: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """Sorted distinct numbers: those that are sorted already with others."""
    fresh = distinct(fresh)
    if not len(old) or not len(fresh):
        return old if len(old) else fresh
    every = np.insert(old, np.searchsorted(old, fresh), fresh)
    return every[np.concatenate([[True], every[1:] != every[:-1]])]


def run_lengths(hashes: np.ndarray) -> np.ndarray:
    """For every element of a sorted array, how often its value occurs; shape as given, int64."""
    if not len(hashes):
        return np.zeros(0, dtype=np.int64)
    lengths = np.diff(np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1], [True]])))
    return np.repeat(lengths, lengths)


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


def _side_by_side(hashes: np.ndarray, documents: np.ndarray, longest: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All pairs inside the runs of equal hashes, each run at most `longest` long; a pair once a run."""
    for apart in range(1, min(longest, len(hashes))):
        same = np.flatnonzero(hashes[apart:] == hashes[:-apart])
        if not len(same):
            break
        yield documents[same], documents[same + apart]


def _enough_shared(
    packed: np.ndarray,
    sampled: Sample,
    whole: np.ndarray,
    found: np.ndarray,
    least: np.ndarray,
    common: np.ndarray,
    share: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Of the pairs, one for every shingle that made it, those that may be similar enough; each once."""
    packed.sort()
    begin = np.flatnonzero(np.concatenate([[True], packed[1:] != packed[:-1]])) if len(packed) else np.zeros(0, int)
    shared = np.diff(np.append(begin, len(packed)))
    chosen = packed[begin].astype(np.int64)
    pair = chosen >> sampled.bits, chosen & ((1 << sampled.bits) - 1)
    taken = whole[pair[0]], whole[pair[1]]
    rates = [np.where(all_, 1, rate(sampled.counts[of], share)) for of, all_ in zip(pair, taken, strict=True)]
    first = rates[0] <= rates[1]
    uncounted = np.minimum(common[pair[0]], common[pair[1]])
    kept = shared >= least[np.where(first, *pair)] - uncounted
    kept &= ~(taken[0] & taken[1]) | (shared >= least[pair[1]] - uncounted)  # both are certain of what they lack
    # Two sets of which one has less than `share` of the other's size are no more alike than that.
    most = [np.where(all_, found[of], sampled.counts[of]) + 1e-9 for of, all_ in zip(pair, taken, strict=True)]
    kept &= (most[0] >= share * found[pair[1]]) & (most[1] >= share * found[pair[0]])
    return pair[0][kept], pair[1][kept]

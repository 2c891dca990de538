"""Groups of near-duplicate documents: MinHash candidates from Daft, then exact verification of every candidate pair.

A document is a tuple of texts (prompt; or context, prompt, response and correction). Two documents are near-duplicates
when in every field the Jaccard similarity of their character 3-shingles reaches the threshold (or, in short texts, they
differ by no more shingles than one typo makes) AND every differing word is explained: as a typo, a filler, or (in long
texts) one of a few reworded places. Numbers, names and negations must be
equal, so "the warranty of Borel 7" and "the warranty of Borel 8" are never duplicates however similar they look.

MinHash: Broder (1997), "On the resemblance and containment of documents"; LSH bands: Leskovec, Rajaraman & Ullman,
"Mining of Massive Datasets", ch. 3. With 24 bands of 5 rows a pair of Jaccard 0.8 becomes a candidate with probability
1 - (1 - 0.8^5)^24 > 0.9999; signature-only LSH would have a precision of about 0.88, verification makes it exact.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import merge
from typing import Any

import numpy as np

from flywheel.components.curation.duplicates import outline
from flywheel.components.curation.duplicates.candidates import run_lengths
from flywheel.components.curation.duplicates.documents import Document, Documents, HeldDocuments, in_blocks
from flywheel.components.curation.duplicates.edges import connected
from flywheel.components.curation.duplicates.outline import SHINGLE, Outlines
from flywheel.components.curation.duplicates.shingles import mixed
from flywheel.components.curation.texts.digests import array_of, digest, numbered
from flywheel.components.curation.texts.entity_lexicon import signature
from flywheel.components.curation.texts.lexicons import words as word_list
from flywheel.components.store.engine import daft_module

BANDS, ROWS = 24, 5
_SEED = 17
_TYPO_SHINGLES = 2 * (SHINGLE + 1)  # shingles that one swap of letters takes away and adds
_SKETCHED = 8192  # documents whose signatures are in memory at once, 192 bytes each and 136 a field; more in one class
_PAIRS = 16_384  # compared by their outlines at once
_PARTS, _PARTS_LENGTH = 1024, 300_000  # documents kept as verification looks at them, about 40 bytes a character
_REFUSED = 500_000  # pairs remembered as no duplicates, about 70 bytes each
_MERGED = 64  # documents of each sorted run that are in memory while runs are merged
_UNEVEN = 3  # fillers that one of two texts may have more than the other
_ODD = np.uint64(0x9E3779B97F4A7C15)
_WINDOW = 2000  # a bucket above this size compares each document with this many neighbours in text order only


def group(documents: Sequence[Document] | Documents, lexicon: frozenset[str], jaccard: float = 0.8) -> np.ndarray:
    """Label documents by near-duplicate group: the connected components of the verified pairs.

    Of documents in a file (`documents.SpilledDocuments`) only numbers are held, about 40 bytes for each, besides what
    is made of a few thousand at a time, or of all that have the same numbers, names and negations.

    Args:
        documents: Tuples of normal forms, all of one length.
        lexicon: Names of the corpus (`entity_lexicon.build`), case-folded.
        jaccard: Least Jaccard similarity of the shingle sets in every field, in (0, 1].

    Returns:
        Integer label per document, shape (n,), numbered by first appearance; equal documents share a label.

    Raises:
        ValueError: `jaccard` is out of range.
    """
    if not 0 < jaccard <= 1:
        raise ValueError(f"jaccard must lie in (0, 1], got {jaccard}")
    source: Documents = HeldDocuments(documents) if isinstance(documents, Sequence) else documents
    of = numbered(source.digests)
    unique = np.flatnonzero(np.diff(np.maximum.accumulate(of), prepend=-1))  # numbered by first appearance
    edges = [np.zeros((0, 2), dtype=np.int64)]
    guards = _guards(source, unique, lexicon)
    for rows in _classes(guards):
        pairs = _verified_pairs(source, unique[rows], guards[rows], jaccard)
        edges.append(rows[np.array(pairs, dtype=np.int64).reshape(-1, 2)])
    left, right = np.concatenate(edges).T
    return connected(len(unique), left, right)[of]


def similar(a: Document, b: Document, lexicon: frozenset[str], jaccard: float = 0.8) -> bool:
    """Whether two documents are near-duplicates by the exact rule (the oracle that MinHash approximates)."""
    return _signature(a, lexicon) == _signature(b, lexicon) and _verify(_parts(a), _parts(b), jaccard)


def similarity(a: str, b: str) -> float:
    """Exact Jaccard similarity of the shingle sets of two normal forms, in [0, 1]."""
    left, right = outline.shingles(a), outline.shingles(b)
    common = _common(left, right)
    return common / (len(left) + len(right) - common)


def _signature(document: Document, lexicon: frozenset[str]) -> Document:
    return tuple(" ".join(signature(field, lexicon)) for field in document)


def _common(a: np.ndarray, b: np.ndarray) -> int:
    return len(np.intersect1d(a, b, assume_unique=True))


@dataclass(frozen=True)
class _Part:
    """A field as verification looks at it."""

    text: str
    shingles: np.ndarray
    words: Counter[str]


def _parts(document: Document) -> list[_Part]:
    return [_Part(text, outline.shingles(text), Counter(text.split())) for text in document]


def _verify(a: list[_Part], b: list[_Part], jaccard: float) -> bool:
    return all(x.text == y.text or (_close(x, y, jaccard) and _explained(x, y)) for x, y in zip(a, b, strict=True))


def _close(a: _Part, b: _Part, jaccard: float) -> bool:
    small, large = sorted((len(a.shingles), len(b.shingles)))
    if small < jaccard * large and large - small > _TYPO_SHINGLES:
        return False  # even if the one were a part of the other
    common = _common(a.shingles, b.shingles)
    union = small + large - common
    return common >= jaccard * union or union - common <= _TYPO_SHINGLES


def _explained(a: _Part, b: _Part) -> bool:
    """Whether the words of two texts differ by typos and fillers only; one more word per 20 may be reworded."""
    only_a, only_b = sorted((a.words - b.words).elements()), sorted((b.words - a.words).elements())
    optional = word_list("optional")
    slack = _slack(min(a.words.total(), b.words.total()))
    if abs(len(only_a) - len(only_b)) > slack + _UNEVEN:
        return False
    missing = 0
    for word in only_a:
        match = next((other for other in only_b if _typo(word, other)), None)
        if match is not None:
            only_b.remove(match)
        elif word not in optional:
            missing += 1
    return max(missing, sum(word not in optional for word in only_b)) <= slack


def _slack(words: Any) -> Any:
    """Words that may be reworded in a text of so many."""
    return words // 20


def _typo(a: str, b: str) -> bool:
    """One edit or one swap of neighbours apart, same first letter: "waranty", "teh"; never "hot"/"hat"."""
    if a[0] != b[0] or abs(len(a) - len(b)) > 1:
        return False
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    if len(a) == len(b):
        swapped = a[start + 2 :] == b[start + 2 :] and a[start : start + 2] == b[start : start + 2][::-1]
        return swapped or (len(a) >= 4 and a[start + 1 :] == b[start + 1 :])
    if max(len(a), len(b)) < 4:
        return False
    short, long = sorted((a, b), key=len)
    return short[start:] == long[start + 1 :]


def _guards(documents: Documents, rows: np.ndarray, lexicon: frozenset[str]) -> np.ndarray:
    """What must be equal in two duplicates, as a number for each of the documents; shape (m,)."""
    digests = [np.zeros((0, 2), dtype=np.uint64)]
    for _, block in in_blocks(documents, rows):
        digests.append(array_of(digest(_signature(document, lexicon)) for document in block))
    return numbered(np.concatenate(digests))


def _classes(guards: np.ndarray) -> Iterator[np.ndarray]:
    """Places of equal guards, of many guards at a time; who is alone with its numbers and names is no duplicate."""
    sizes = np.bincount(guards)
    order = np.argsort(guards, kind="stable")
    order = order[sizes[guards[order]] > 1]
    start = stop = 0
    for size in sizes[sizes > 1].tolist():
        if stop > start and stop + size - start > _SKETCHED:
            yield order[start:stop]
            start = stop
        stop += size
    if stop > start:
        yield order[start:stop]


def _verified_pairs(
    documents: Documents, rows: np.ndarray, guards: np.ndarray, jaccard: float
) -> list[tuple[int, int]]:
    """Edges that connect exactly the pairs that `_verify` accepts (a spanning part of them), among LSH candidates.

    Args:
        documents: Documents.
        rows: Those to compare, shape (m,): all that have one of some guards.
        guards: Guard of each, shape (m,).
        jaccard: Least similarity.

    Returns:
        Pairs of places in `rows`.
    """
    bands, outlines = _sketched(documents, rows, guards)
    order = _in_text_order(documents, rows) if len(rows) > _WINDOW else np.arange(len(rows))
    parent = list(range(len(rows)))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    length = int(documents.lengths[rows].mean())

    @lru_cache(min(_PARTS, max(2, _PARTS_LENGTH // max(1, length))))
    def parts(place: int) -> list[_Part]:
        return _parts(documents.read(rows[place : place + 1])[0])

    edges = []
    refused: set[int] = set()  # most pairs of one band meet again in others
    for band in range(BANDS):
        for left, right in _candidates(bands[:, band], order, outlines, jaccard):
            for other, node in zip(left.tolist(), right.tolist(), strict=True):
                if root(node) == root(other) or other * len(rows) + node in refused:
                    continue
                if _verify(parts(node), parts(other), jaccard):
                    edges.append((other, node))
                    parent[root(node)] = root(other)
                else:
                    refused.add(other * len(rows) + node)
        if len(refused) > _REFUSED:
            refused.clear()
    return edges


def _in_text_order(documents: Documents, rows: np.ndarray) -> np.ndarray:
    """Places in `rows` in the order of the texts: blocks are sorted, and merged a few documents at a time."""
    runs = []
    for here, block in in_blocks(documents, rows):
        runs.append(here.start + np.array(sorted(range(len(block)), key=block.__getitem__), dtype=np.int64))

    def read(run: np.ndarray) -> Iterator[tuple[Document, int]]:
        for start in range(0, len(run), _MERGED):
            places = run[start : start + _MERGED]
            yield from zip(documents.read(rows[places]), places.tolist(), strict=True)

    return np.fromiter((place for _, place in merge(*map(read, runs))), dtype=np.int64, count=len(rows))


def _candidates(
    keys: np.ndarray, order: np.ndarray, outlines: Outlines, jaccard: float
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of equal keys, up to `_WINDOW` apart in the order given, that their outlines do not rule out."""
    places = order[np.argsort(keys[order], kind="stable")]
    found = keys[places]
    for apart in range(1, _WINDOW + 1):
        if apart & (apart - 1) == 0:  # at every power of two: what is in longer runs
            inside = run_lengths(found) > apart
            places, found = places[inside], found[inside]
        same = np.flatnonzero(found[apart:] == found[:-apart])
        if not len(same):
            return
        left, right = places[same], places[same + apart]
        for start in range(0, len(left), _PAIRS):
            a, b = left[start : start + _PAIRS], right[start : start + _PAIRS]
            words, others = outlines.words[a], outlines.words[b]
            near = (np.abs(words - others) <= _slack(np.minimum(words, others)) + _UNEVEN).all(axis=1)
            a, b = a[near], b[near]
            close = outlines.differing(a, b) <= outlines.allowed(a, b, jaccard, _TYPO_SHINGLES)
            yield a[close.all(axis=1)], b[close.all(axis=1)]


def _sketched(documents: Documents, rows: np.ndarray, guards: np.ndarray) -> tuple[np.ndarray, Outlines]:
    """For every band of each document's signature, and its guard, a number: shape (m, BANDS), uint64; and the outlines.

    Two different ones get the same number with probability 2^-64, and what is a candidate by that is verified.
    """
    bands = np.empty((len(rows), BANDS), dtype=np.uint64)
    outlines = []
    for here, block in in_blocks(documents, rows):
        sketch = _minhash(block).astype(np.uint64).reshape(-1, BANDS, ROWS)
        keys = bands[here]
        keys[:] = guards[here, None]
        for row in range(ROWS):
            keys[:] = mixed(keys * _ODD + sketch[:, :, row])
        outlines.append(outline.of(block))
    return bands, outline.joined(outlines)


def _minhash(texts: list[Document]) -> np.ndarray:
    """MinHash signatures by Daft, shape (n, BANDS * ROWS), uint32.

    Daft shingles over words: each character becomes a word that is tagged with its field, so that shingles of
    different fields never meet.
    """
    daft = daft_module()
    spelled = [
        " ".join(f"{field}" + f" {field}".join(f" {text} ".replace(" ", "_")) for field, text in enumerate(document))
        for document in texts
    ]
    frame = daft.from_pydict({"row": list(range(len(texts))), "text": spelled})
    sketched = frame.select(
        daft.col("row"),
        daft.col("text").minhash(num_hashes=BANDS * ROWS, ngram_size=SHINGLE, seed=_SEED, hash_function="xxhash"),
    ).to_arrow()
    values = sketched["text"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    sketch = np.empty((len(texts), BANDS * ROWS), dtype=np.uint32)
    sketch[sketched["row"].to_numpy()] = values.reshape(len(texts), BANDS * ROWS)
    return sketch

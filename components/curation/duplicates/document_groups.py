"""Groups of equal and nearly equal documents: exact, then near by verified Jaccard similarity; every record has one.

Pairs at the threshold or above are edges, groups are the connected components. Groups do not depend on the order of
the records; the survivor of a group is its first record in the order given.

Texts that lie in a file (`spilled_texts`) are read in blocks, and what is made of them lies in buckets of bounded size:
in memory stay about 130 bytes a record, and 60 for each verified pair.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from flywheel.components.curation.duplicates import candidates, jaccard, shingles
from flywheel.components.curation.duplicates.buckets import Buckets
from flywheel.components.curation.duplicates.edges import EXACT, NEAR, SEMANTIC, Edges, Forest, joined
from flywheel.components.curation.duplicates.spilled_texts import HeldTexts, Texts

KINDS = ("", SEMANTIC, NEAR, EXACT)  # the later the stronger
_PAIRS, _LENGTH = 20_000, 1 << 24  # pairs that are verified at once, and the length of their texts together
_EQUAL = 4096  # equal texts that are compared word by word at once


@dataclass(frozen=True)
class Groups:
    """Groups of records.

    Attributes:
        labels: Shape (n,), int64: group of each record, numbered by first appearance; every record has one.
        survivors: Shape (g,), int64: first record of each group.
        edges: Verified pairs, enough to connect each group.
    """

    labels: np.ndarray
    survivors: np.ndarray
    edges: Edges

    def kinds(self) -> np.ndarray:
        """Per record why it is dropped, as a place in `KINDS`: the strongest kind of the edges at it; shape (n,), int8.

        A survivor has 0.
        """
        kinds = np.zeros(len(self.labels), dtype=np.int8)
        for place, kind in enumerate(KINDS):
            chosen = self.edges.kind == kind
            kinds[self.edges.left[chosen]] = place
            kinds[self.edges.right[chosen]] = place
        kinds[self.survivors] = 0
        return kinds


def groups(
    texts: Sequence[str] | Texts,
    least: float = 0.8,
    words: int = shingles.WORDS,
    semantic: float = 0.0,
    encoder: str = "hashed",
) -> Groups:
    """Group equal and nearly equal texts, and if wanted texts that say the same.

    Args:
        texts: Texts, the one that shall stay before the others.
        least: Least Jaccard similarity of the sets of word shingles, in (0, 1].
        words: Words of a shingle, at least 1.
        semantic: Least cosine of semantic duplicates, in (0, 1]; 0: none are looked for.
        encoder: Name of the encoder for them (`encoders.encoder`).

    Returns:
        The groups. A pair at the threshold or above is missed with probability below 1e-8, a pair below it is never
        taken; texts without any word are grouped when they are equal character by character.

    Raises:
        ValueError: `least`, `words` or `semantic` is out of range, or there is no such encoder.
        ModuleNotFoundError: The extra that brings the encoder is not installed.
    """
    if not 0 < least <= 1:
        raise ValueError(f"the least Jaccard similarity must lie in (0, 1], got {least}")
    source: Texts = HeldTexts(texts) if isinstance(texts, Sequence) else texts
    count = len(source.lengths)

    def blocks(documents: np.ndarray) -> Iterator[shingles.Shingles]:
        return shingles.shingled(source, documents, words)

    with Buckets(candidates.expected(source.lengths, least)) as keys:
        sampled = candidates.sample(blocks(np.arange(count)), count, least, keys)
        first = _equal(source, sampled.counts, sampled.totals)
        unique = first == np.arange(count)
        copies = np.flatnonzero(~unique)
        of_copies = first[copies]
        forest = Forest(first)
        near = list(
            _near(candidates.pairs(sampled, unique, blocks, least, forest.roots), forest, source, least, blocks)
        )
    exact = _word_by_word(source, of_copies, copies)
    edges = Edges(
        np.concatenate([of_copies, *(one[0] for one in near)]),
        np.concatenate([copies, *(one[1] for one in near)]),
        np.concatenate([np.ones(len(copies)), *(one[2] for one in near)]),
        np.concatenate([np.where(exact, EXACT, NEAR), *(np.full(len(one[0]), NEAR) for one in near)]),
    )
    labels = forest.labels()
    if semantic:
        said = _semantic(source, labels, semantic, encoder)
        edges = joined([edges, said])
        forest.join(said.left, said.right)
        labels = forest.labels()
    survivors = np.flatnonzero(np.diff(np.maximum.accumulate(labels), prepend=-1))  # numbered by first appearance
    return Groups(labels, survivors, edges)


def _near(
    pairs: Iterator[tuple[np.ndarray, np.ndarray]],
    forest: Forest,
    source: Texts,
    least: float,
    blocks: candidates.Blocks,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Verify candidate pairs part by part, and join those that are near enough: left, right, similarity."""
    for left, right in pairs:
        start = 0
        while start < len(left):
            a, b = left[start : start + _PAIRS], right[start : start + _PAIRS]
            ends = np.cumsum(source.lengths[a], dtype=np.int64) + np.cumsum(source.lengths[b], dtype=np.int64)
            chosen = max(1, int(np.searchsorted(ends, _LENGTH, side="right")))
            a, b = a[:chosen], b[:chosen]
            start += chosen
            apart = forest.roots(a) != forest.roots(b)
            similarity = jaccard.similarities(a[apart], b[apart], blocks)
            enough = similarity >= least
            if enough.any():
                a, b = a[apart][enough], b[apart][enough]
                forest.join(a, b)
                yield a, b, similarity[enough]


def _semantic(source: Texts, labels: np.ndarray, least: float, name: str) -> Edges:
    from flywheel.components.curation.duplicates import semantic_duplicates
    from flywheel.components.curation.encoders import encoder
    from flywheel.components.curation.texts import entity_lexicon

    texts = source.read(np.arange(len(labels)))
    documents = [(text,) for text in texts]
    guards = semantic_duplicates.guards_of(documents, entity_lexicon.build(texts))
    return semantic_duplicates.edges(documents, guards, encoder(name), least, labels)


def _equal(source: Texts, counts: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """First record with the same shingles, shape (n,); without any, with the same text."""
    order = np.lexsort((counts, totals))
    begin = np.ones(len(order), dtype=bool)
    begin[1:] = (totals[order[1:]] != totals[order[:-1]]) | (counts[order[1:]] != counts[order[:-1]])
    first = np.empty(len(order), dtype=np.int64)
    first[order] = order[begin][np.cumsum(begin) - 1]  # lexsort is stable, so that the first of a run is its least
    wordless: dict[str, int] = {}
    silent = np.flatnonzero(counts == 0)
    for start in range(0, len(silent), _EQUAL):
        rows = silent[start : start + _EQUAL]
        first[rows] = [
            wordless.setdefault(text, row) for text, row in zip(source.read(rows), rows.tolist(), strict=True)
        ]
    return first


def _word_by_word(source: Texts, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Whether the words of texts are the same, and not only their shingles; shape (p,)."""
    same: list[bool] = []
    for start in range(0, len(left), _EQUAL):
        these, those = source.read(left[start : start + _EQUAL]), source.read(right[start : start + _EQUAL])
        same += [a == b or shingles.plain(a) == shingles.plain(b) for a, b in zip(these, those, strict=True)]
    return np.array(same, dtype=bool)

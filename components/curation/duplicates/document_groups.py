"""Groups of equal and nearly equal documents: exact, then near by verified Jaccard similarity; every record has one.

Pairs at the threshold or above are edges, groups are the connected components. Groups do not depend on the order of
the records; the survivor of a group is its first record in the order given.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from flywheel.components.curation.duplicates import candidates, jaccard, shingles
from flywheel.components.curation.duplicates.edges import EXACT, NEAR, SEMANTIC, Edges, connected, joined


@dataclass(frozen=True)
class Groups:
    """Groups of records.

    Attributes:
        labels: Shape (n,), int64: group of each record, numbered by first appearance; every record has one.
        survivors: Shape (g,), int64: first record of each group.
        edges: The verified pairs, enough to connect each group.
    """

    labels: np.ndarray
    survivors: np.ndarray
    edges: Edges

    def kinds(self) -> np.ndarray:
        """Per record why it is dropped: the strongest kind of the edges at it, "" for a survivor; shape (n,)."""
        kinds = np.full(len(self.labels), "", dtype="<U8")
        for kind in (SEMANTIC, NEAR, EXACT):
            chosen = self.edges.kind == kind
            kinds[self.edges.left[chosen]] = kind
            kinds[self.edges.right[chosen]] = kind
        kinds[self.survivors] = ""
        return kinds


def groups(
    texts: Sequence[str],
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
    sampled = candidates.sample(shingles.shingled(texts, words), least)
    first, exact = _equal(texts, sampled)
    unique = first == np.arange(len(texts))

    def blocks(documents: np.ndarray) -> Iterator[shingles.Shingles]:
        return shingles.shingled([texts[i] for i in documents.tolist()], words)

    alone = unique[sampled.documents]
    reduced = candidates.Sample(sampled.hashes[alone], sampled.documents[alone], sampled.counts, sampled.totals)
    left, right = np.arange(len(texts)), first
    labels = connected(len(texts), left, right)
    near: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def known() -> np.ndarray:
        return labels

    for a, b in candidates.pairs(reduced, blocks, least, known):
        apart = labels[a] != labels[b]
        similarity = jaccard.similarities(a[apart], b[apart], blocks)
        enough = similarity >= least
        if enough.any():
            near.append((a[apart][enough], b[apart][enough], similarity[enough]))
            left, right = np.concatenate([left, near[-1][0]]), np.concatenate([right, near[-1][1]])
            labels = connected(len(texts), left, right)
    copies = np.flatnonzero(~unique)
    edges = Edges(
        np.concatenate([first[copies], *(one[0] for one in near)]),
        np.concatenate([copies, *(one[1] for one in near)]),
        np.concatenate([np.ones(len(copies)), *(one[2] for one in near)]),
        np.concatenate([np.where(exact[copies], EXACT, NEAR), *(np.full(len(one[0]), NEAR) for one in near)]),
    )
    if semantic:
        said = _semantic(texts, labels, semantic, encoder)
        edges = joined([edges, said])
        labels = connected(len(texts), np.concatenate([left, said.left]), np.concatenate([right, said.right]))
    survivors = np.flatnonzero(np.diff(np.maximum.accumulate(labels), prepend=-1))  # numbered by first appearance
    return Groups(labels, survivors, edges)


def _semantic(texts: Sequence[str], labels: np.ndarray, least: float, name: str) -> Edges:
    from flywheel.components.curation.duplicates import semantic_duplicates
    from flywheel.components.curation.encoders import encoder
    from flywheel.components.curation.texts import entity_lexicon

    documents = [(text,) for text in texts]
    guards = semantic_duplicates.guards_of(documents, entity_lexicon.build(texts))
    return semantic_duplicates.edges(documents, guards, encoder(name), least, labels)


def _equal(texts: Sequence[str], sampled: candidates.Sample) -> tuple[np.ndarray, np.ndarray]:
    """First record with the same shingles, and whether its words are the same too; shapes (n,)."""
    order = np.lexsort((sampled.counts, sampled.totals))
    totals, counts = sampled.totals[order], sampled.counts[order]
    same = (totals[1:] == totals[:-1]) & (counts[1:] == counts[:-1])
    begin = np.flatnonzero(np.concatenate([[True], ~same])) if len(order) else order
    first = np.empty(len(texts), dtype=np.int64)
    first[order] = np.repeat(np.minimum.reduceat(order, begin) if len(begin) else order, np.diff([*begin, len(order)]))
    wordless: dict[str, int] = {}
    for row in np.flatnonzero(sampled.counts == 0).tolist():
        first[row] = wordless.setdefault(texts[row], row)
    exact = np.ones(len(texts), dtype=bool)
    for row in np.flatnonzero(first != np.arange(len(texts))).tolist():
        a, b = texts[first[row]], texts[row]
        exact[row] = a == b or shingles.plain(a) == shingles.plain(b)
    return first, exact

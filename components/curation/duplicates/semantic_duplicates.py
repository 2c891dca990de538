"""Semantic duplicates: documents whose embeddings are near each other and whose numbers, names and negations are equal.

An embedding hardly tells "returns within 30 days" from "within 14 days", or "is covered" from "is not covered"; so
pairs are looked for only among documents with the same guard (`entity_lexicon.signature`), whatever their cosine.
All pairs are compared, block by block, without an approximate index: exact, memory flat in the number of documents
(the vectors lie in a temporary file), time quadratic in the size of the greatest set of one guard.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from flywheel.components.curation.duplicates.documents import Document, Documents, HeldDocuments, in_blocks
from flywheel.components.curation.duplicates.edges import SEMANTIC, Edges, connected
from flywheel.components.curation.encoders import Encoder
from flywheel.components.curation.texts.digests import array_of, digest, numbered
from flywheel.components.curation.texts.entity_lexicon import signature
from flywheel.components.curation.texts.normal_form import normal_form

BLOCK = 1024  # documents compared with as many others at once


def edges(
    documents: Sequence[Document] | Documents,
    guards: np.ndarray | Sequence[int],
    encoder: Encoder,
    least: float,
    labels: np.ndarray,
) -> Edges:
    """Connect documents whose fields are all near each other.

    Args:
        documents: Tuples of texts, all of one length, such as question and answer.
        guards: What must be equal in two duplicates, as numbers, shape (n,); see `guards_of`.
        encoder: Makes the vectors.
        least: Least cosine similarity in every field, in (0, 1].
        labels: Groups that are known already, shape (n,); inside them no edge is looked for.

    Returns:
        Edges between documents of different groups, at most one for two groups in a block; `similarity` is the least
        cosine of the fields.

    Raises:
        ValueError: `least` is out of range, or the lengths differ.
    """
    if not 0 < least <= 1:
        raise ValueError(f"the least cosine of semantic duplicates must lie in (0, 1], got {least}")
    source: Documents = HeldDocuments(documents) if isinstance(documents, Sequence) else documents
    if not len(source.lengths) == len(guards) == len(labels):
        raise ValueError(f"{len(source.lengths)} documents, {len(guards)} guards and {len(labels)} labels do not match")
    alone = np.column_stack([np.asarray(guards, dtype=np.int64), labels])
    first = np.unique(alone, axis=0, return_index=True)[1]  # of one guard and group, one stands for the others
    first = first[np.lexsort((first, alone[first, 0]))]
    borders = np.flatnonzero(np.diff(alone[first, 0])) + 1
    classes = [rows for rows in np.split(first, borders) if len(rows) > 1]
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    with tempfile.TemporaryDirectory(prefix="flywheel-semantic-") as folder:
        for rows in classes:
            vectors = _vectors(source, rows, encoder, Path(folder) / "vectors")
            labels = _within(rows, vectors, least, labels, found)
    columns = [np.concatenate([one[place] for one in found]) if found else np.zeros(0) for place in range(3)]
    left, right = columns[0].astype(np.int64), columns[1].astype(np.int64)
    return Edges(left, right, columns[2], np.full(len(left), SEMANTIC))


def guards_of(documents: Sequence[Document] | Documents, lexicon: frozenset[str]) -> np.ndarray:
    """Numbers, names and negations of each field of each document, as one number for all of a document; shape (n,).

    Args:
        documents: Tuples of texts.
        lexicon: Names of the corpus (`entity_lexicon.build`), case-folded.
    """
    source: Documents = HeldDocuments(documents) if isinstance(documents, Sequence) else documents
    digests = [np.zeros((0, 2), dtype=np.uint64)]
    for _, block in in_blocks(source, np.arange(len(source.lengths))):
        said = (tuple(" ".join(signature(normal_form(field), lexicon)) for field in document) for document in block)
        digests.append(array_of(map(digest, said)))
    return numbered(np.concatenate(digests))


def _vectors(documents: Documents, rows: np.ndarray, encoder: Encoder, path: Path) -> np.ndarray:
    """Vectors of the fields of some documents, shape (rows, fields, d), on disk where they are many."""
    shape = (len(rows), len(documents.read(rows[:1])[0]), encoder.dimensions)
    vectors = np.memmap(path, np.float32, "w+", shape=shape) if len(rows) > BLOCK else np.empty(shape, dtype=np.float32)
    for start in range(0, len(rows), BLOCK):
        chosen = documents.read(rows[start : start + BLOCK])
        for field in range(shape[1]):
            vectors[start : start + BLOCK, field] = encoder.encode([document[field] for document in chosen])
    return vectors


def _within(
    rows: np.ndarray,
    vectors: np.ndarray,
    least: float,
    labels: np.ndarray,
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> np.ndarray:
    """Add the edges among documents of one guard; the labels afterwards."""
    for start in range(0, len(rows), BLOCK):
        mine = np.asarray(vectors[start : start + BLOCK])
        for other in range(start, len(rows), BLOCK):
            theirs = np.asarray(vectors[other : other + BLOCK])
            cosine = mine[:, 0] @ theirs[:, 0].T
            for field in range(1, mine.shape[1]):
                np.minimum(cosine, mine[:, field] @ theirs[:, field].T, out=cosine)
            one, two = np.nonzero(cosine >= least - 1e-6)  # the rounding of float32
            left, right = rows[start + one], rows[other + two]
            new = (left < right) & (labels[left] != labels[right])
            if not new.any():
                continue
            left, right, similarity = left[new], right[new], np.minimum(1.0, cosine[one[new], two[new]])
            couple = np.sort(np.column_stack([labels[left], labels[right]]), axis=1)
            kept = np.unique(couple, axis=0, return_index=True)[1]
            found.append((left[kept], right[kept], similarity[kept]))
            labels = connected(
                len(labels),
                np.concatenate([np.arange(len(labels)), left[kept]]),
                np.concatenate([_first_of(labels), right[kept]]),
            )
    return labels


def _first_of(labels: np.ndarray) -> np.ndarray:
    """First document of each document's group."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return first[inverse]

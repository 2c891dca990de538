"""In which groups corrections are: as duplicates, as one side of a split, and as answers to one question."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from flywheel.components.curation.duplicates import near_duplicates
from flywheel.components.curation.duplicates.documents import Document, Documents, in_blocks
from flywheel.components.curation.duplicates.edges import connected
from flywheel.components.curation.duplicates.wordings import Wordings
from flywheel.components.curation.texts.digests import numbered
from flywheel.components.store.tables import row_id


@dataclass(frozen=True)
class Groupings:
    """Groups of n corrections; each grouping has labels, shape (n,), int64, numbered by first appearance.

    Attributes:
        wordings: Near-duplicates of the content.
        contents: The same, and semantic duplicates where they are looked for; one row of each group stays.
        firsts: First row of each group of `contents`, ascending.
        leak_proof: Near-duplicates of the question or of the content.
        about: All wordings of one question about one fact.
        group_ids: Id of each group of `leak_proof`, shape (g,), 32 bytes.
        question_ids: Id of each group of `about`.
    """

    wordings: np.ndarray
    contents: np.ndarray
    firsts: np.ndarray
    leak_proof: np.ndarray
    about: np.ndarray
    group_ids: np.ndarray
    question_ids: np.ndarray


def of(wordings: Wordings, lexicon: frozenset[str], jaccard: float, semantic: float, encoder: str) -> Groupings:
    """Group corrections.

    Args:
        wordings: Wordings of the corrections.
        lexicon: Names of the corpus.
        jaccard: Least similarity in every field, in (0, 1].
        semantic: Least cosine in every field of semantic duplicates, in (0, 1]; 0: none are looked for.
        encoder: Name of the encoder for them (`encoders.encoder`).

    Raises:
        ValueError: `jaccard` or `semantic` is out of range, or there is no such encoder.
    """
    of_question = near_duplicates.group(wordings.questions, lexicon, jaccard)
    of_wording = near_duplicates.group(wordings.contents, lexicon, jaccard)
    of_content = _semantic(wordings.contents, lexicon, of_wording, semantic, encoder) if semantic else of_wording
    leak_proof = _joined(of_question, of_content)
    facts = np.full(len(leak_proof), -1, dtype=np.int64)
    facts[wordings.factual] = numbered(wordings.keys[wordings.factual])
    about = _joined(leak_proof, facts)
    return Groupings(
        of_wording,
        of_content,
        np.flatnonzero(np.diff(np.maximum.accumulate(of_content), prepend=-1)),
        leak_proof,
        about,
        _names("group", leak_proof, wordings.questions),
        _names("question", about, wordings.questions),
    )


def members(labels: np.ndarray) -> Sequence[np.ndarray]:
    """Rows of each group, ascending.

    Args:
        labels: Shape (n,), from 0.
    """
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1) if len(order) else []


def written(ids: np.ndarray) -> pa.Array:
    """Ids as text."""
    return pa.array(ids).cast(pa.string())


def _semantic(contents: Documents, lexicon: frozenset[str], labels: np.ndarray, least: float, name: str) -> np.ndarray:
    """Labels after semantic duplicates are joined as well, numbered by first appearance."""
    from flywheel.components.curation.duplicates import semantic_duplicates
    from flywheel.components.curation.encoders import encoder

    guards = semantic_duplicates.guards_of(contents, lexicon)
    found = semantic_duplicates.edges(contents, guards, encoder(name), least, labels)
    first = np.unique(labels, return_index=True)[1][labels]
    every = np.arange(len(labels))
    return connected(len(labels), np.concatenate([every, found.left]), np.concatenate([first, found.right]))


def _joined(*labellings: np.ndarray) -> np.ndarray:
    """Connected components of rows that share a label in any labelling, by first appearance; -1 is no label."""
    count = nodes = len(labellings[0])
    left, right = [], []
    for labels in labellings:
        rows = np.flatnonzero(labels >= 0)
        left.append(rows)
        right.append(nodes + labels[rows])
        nodes += int(labels.max(initial=-1)) + 1
    return connected(nodes, np.concatenate(left), np.concatenate(right))[:count]


def _names(kind: str, labels: np.ndarray, questions: Documents) -> np.ndarray:
    """Ids from content: a group is named after its smallest question, so that the order of rows does not matter."""
    names = np.empty(int(labels.max(initial=-1)) + 1, dtype="S32")
    order = np.argsort(labels, kind="stable")
    current, smallest = -1, Document()
    for here, block in in_blocks(questions, order):
        for label, question in zip(labels[order[here]].tolist(), block, strict=True):
            if label != current:
                if current >= 0:
                    names[current] = row_id(kind, *smallest)
                current, smallest = label, question
            else:
                smallest = min(smallest, question)
    if current >= 0:
        names[current] = row_id(kind, *smallest)
    assert len(np.unique(names)) == len(names)  # equal questions are always in one group
    return names

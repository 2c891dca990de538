"""Wordings of corrections: the normal forms of their texts in a file on disk, and in memory what stands for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pyarrow as pa

from flywheel.components.curation.duplicates.documents import Document, SpilledDocuments
from flywheel.components.curation.duplicates.spilled_rows import SpilledRows
from flywheel.components.curation.duplicates.spilled_texts import SpilledTexts
from flywheel.components.curation.texts.claims import key_of
from flywheel.components.curation.texts.digests import array_of, digest
from flywheel.components.curation.texts.normal_form import normal_form, question_form
from flywheel.components.store.engine import Engine

_OF_A_WORKER = 8  # batches of a megabyte
_TEXTS = ("context", "prompt", "response", "correction")


@dataclass(frozen=True)
class Wordings:
    """Wordings of n corrections.

    Attributes:
        questions: Context and prompt.
        contents: Context, prompt, response and correction.
        keys: Shape (n, 2), uint64: fact with its answer, or question with its answer (`claims.key_of`).
        factual: Shape (n,), bool: whether the key is one of a fact.
    """

    questions: SpilledDocuments
    contents: SpilledDocuments
    keys: np.ndarray
    factual: np.ndarray


def spilled(rows: SpilledRows, lexicon: frozenset[str], on: Engine | None, texts: SpilledTexts) -> Wordings:
    """Bring the texts of corrections into normal form.

    Args:
        rows: Rows of `corrections.SCHEMA`.
        lexicon: Names of the corpus.
        on: Engine that does it, a few batches for each of its workers at a time; None: this process.
        texts: Where the normal forms go.
    """
    questions, contents, keys = bytearray(), bytearray(), bytearray()
    factual = []
    for forms in _forms(rows, on):
        documents: list[Document] = list(zip(*(forms[name].to_pylist() for name in _TEXTS), strict=True))
        texts.append([text for document in documents for text in document])
        for document in documents:
            questions += digest(document[:2])
            contents += digest(document)
            key, is_fact = key_of(*document[:3], lexicon)
            keys += key
            factual.append(is_fact)
    texts.finish()
    width = len(_TEXTS)
    return Wordings(
        SpilledDocuments(texts, width, 2, array_of([questions])),
        SpilledDocuments(texts, width, width, array_of([contents])),
        array_of([keys]),
        np.array(factual, dtype=bool),
    )


def _forms(rows: SpilledRows, on: Engine | None) -> Iterator[pa.Table]:
    batches = rows.batches(_TEXTS)
    # Ray takes a moment for every round, so that a worker gets several batches in one.
    at_once = 1 if on is None else on.workers * (_OF_A_WORKER if on.name == "ray" else 1)
    while units := list(islice(batches, at_once)):
        yield from map(_in_normal_form, units) if on is None else on.map(_in_normal_form, units)


def _in_normal_form(texts: pa.Table) -> pa.Table:
    return pa.table(
        {
            name: pa.array([(question_form if name == "prompt" else normal_form)(text) for text in column], pa.string())
            for name, column in ((name, texts[name].to_pylist()) for name in _TEXTS)
        }
    )

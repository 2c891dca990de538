"""Documents of several texts, by number: from memory when a caller holds them, else from a file on disk."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from flywheel.components.curation.duplicates.spilled_texts import SpilledTexts, blocks
from flywheel.components.curation.texts.digests import array_of, digest

Document = tuple[str, ...]

_AT_ONCE, _LENGTH = 8192, 1 << 20  # documents that are read at once, and the length of their texts together


class Documents(Protocol):
    """Documents by number.

    Attributes:
        digests: Shape (n, 2), uint64: equal documents have equal ones (`texts.digests`).
        lengths: Shape (n,), integers: length of each document's texts together, in characters or bytes of UTF-8.
    """

    digests: np.ndarray
    lengths: np.ndarray

    def read(self, rows: np.ndarray) -> list[Document]:
        """The documents of these numbers, in the order given."""
        ...


class HeldDocuments:
    """Documents that somebody holds in memory."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents = documents
        self.digests = array_of(map(digest, documents))
        self.lengths = np.array([sum(map(len, document)) for document in documents], dtype=np.int64)

    def read(self, rows: np.ndarray) -> list[Document]:
        """The documents of these numbers, in the order given."""
        return [self._documents[row] for row in rows.tolist()]


class SpilledDocuments:
    """Documents whose texts lie side by side in a file.

    Args:
        texts: Their texts: those of document i have the numbers from `width * i` on.
        width: Texts that each has in the file.
        fields: How many of them, from the first one, make the documents.
        digests: Shape (n, 2), uint64: of each document.
    """

    def __init__(self, texts: SpilledTexts, width: int, fields: int, digests: np.ndarray) -> None:
        self._texts, self._width, self._fields = texts, width, fields
        self.digests = digests
        self.lengths = texts.lengths.reshape(-1, width)[:, :fields].sum(axis=1, dtype=np.int64)

    def read(self, rows: np.ndarray) -> list[Document]:
        """The documents of these numbers, in the order given."""
        texts = self._texts.read((rows[:, None] * self._width + np.arange(self._fields)).ravel())
        return list(zip(*(texts[field :: self._fields] for field in range(self._fields)), strict=True))


def in_blocks(documents: Documents, rows: np.ndarray) -> Iterator[tuple[slice, list[Document]]]:
    """Read documents in blocks of bounded size.

    Args:
        documents: Documents.
        rows: Numbers of those wanted, shape (m,).

    Yields:
        The places in `rows` of the next ones, and these.
    """
    for here in blocks(documents.lengths[rows], _AT_ONCE, _LENGTH):
        yield here, documents.read(rows[here])

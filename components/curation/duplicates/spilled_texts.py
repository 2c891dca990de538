"""Texts that are read again in blocks: from memory when a caller holds them, else from a file on disk.

Duplicates need the texts three times: to sample them, to verify pairs, and to compare equal ones word by word. On disk
each costs its bytes and, in memory, 12 bytes: where it begins and how long it is. They are read with `pread`, not
through a memory map, so that what was read does not count as memory of the process.
"""

import os
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from typing import Protocol, Self

import numpy as np


class Texts(Protocol):
    """Texts by number.

    Attributes:
        lengths: Shape (n,), integers: length of each text, in characters or in bytes of UTF-8.
    """

    lengths: np.ndarray

    def read(self, rows: np.ndarray) -> list[str]:
        """The texts of these numbers, in the order given."""
        ...


def blocks(lengths: np.ndarray, most: int, length: int) -> Iterator[slice]:
    """Cut texts into blocks of bounded size.

    Args:
        lengths: Length of each text, shape (n,).
        most: Most texts of a block.
        length: Most that the texts of a block are long together, unless it is one text that is longer.

    Yields:
        Places of the texts of each block.
    """
    start = 0
    while start < len(lengths):
        ends = np.cumsum(lengths[start : start + most], dtype=np.int64)
        stop = start + max(1, int(np.searchsorted(ends, length, side="right")))
        yield slice(start, stop)
        start = stop


class HeldTexts:
    """Texts that somebody holds in memory."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self.lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))

    def read(self, rows: np.ndarray) -> list[str]:
        """The texts of these numbers, in the order given."""
        if _consecutive(rows):
            return list(self._texts[int(rows[0]) : int(rows[-1]) + 1])
        return [self._texts[row] for row in rows.tolist()]


class SpilledTexts:
    """Texts in a temporary file that is gone when the process ends, however it ends; use it in a `with` statement.

    Attributes:
        lengths: Shape (n,), int32: bytes of each text.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="flywheel-texts-", buffering=1 << 20)  # noqa: SIM115 - see __exit__
        self._lengths = array("i")
        self._begin: np.ndarray | None = None
        self.lengths = np.zeros(0, dtype=np.int32)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, texts: Sequence[str]) -> None:
        """Add texts behind those that are there; not possible once `finish` was called."""
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        self._lengths.extend(map(len, encoded))
        self._file.writelines(encoded)

    def finish(self, order: np.ndarray | None = None) -> Self:
        """End the writing.

        Args:
            order: From now on text i is the one that was appended as number `order[i]`; None: as they were appended.
        """
        self._file.flush()
        self.lengths = np.frombuffer(self._lengths, dtype=np.int32) if self._lengths else self.lengths
        self._begin = np.zeros(len(self.lengths), dtype=np.int64)
        np.cumsum(self.lengths[:-1], out=self._begin[1:])
        if order is not None:
            self.lengths, self._begin = self.lengths[order], self._begin[order]
        return self

    def read(self, rows: np.ndarray) -> list[str]:
        """The texts of these numbers, in the order given."""
        assert self._begin is not None, "finish() comes before reading"
        if not len(rows):
            return []
        begin = self._begin[rows]
        end = begin + self.lengths[rows]
        borders = (np.flatnonzero(begin[1:] != end[:-1]) + 1).tolist()  # side by side in the file: one call for all
        where, ends, handle = begin.tolist(), end.tolist(), self._file.fileno()
        found: list[str] = []
        for start, stop in zip([0, *borders], [*borders, len(where)], strict=True):
            raw = _read(handle, ends[stop - 1] - where[start], where[start])
            if stop - start == 1:
                found.append(raw.decode("utf-8", "surrogatepass"))
                continue
            first = where[start]
            places = [
                (one - first, other - first) for one, other in zip(where[start:stop], ends[start:stop], strict=True)
            ]
            if raw.isascii():
                text = raw.decode("ascii")
                found += [text[one:other] for one, other in places]
            else:
                found += [raw[one:other].decode("utf-8", "surrogatepass") for one, other in places]
        return found


def _read(handle: int, size: int, place: int) -> bytes:
    raw = os.pread(handle, size, place)
    while len(raw) < size:  # one call gives 2 GiB at most
        more = os.pread(handle, size - len(raw), place + len(raw))
        if not more:
            raise OSError(f"the temporary file of texts ends at byte {place + len(raw)}; was the disk full?")
        raw += more
    return raw


def _consecutive(rows: np.ndarray) -> bool:
    return len(rows) > 0 and int(rows[-1]) - int(rows[0]) == len(rows) - 1 and bool((np.diff(rows) == 1).all())

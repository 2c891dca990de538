"""What is clustered: questions with their answers, as texts on disk and a few numbers each in memory.

Of a case 90 bytes stay: who it was, which distinct text it has, a digest of its wording, and where its texts lie.
"""

import hashlib
import heapq
from array import array
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Self

import numpy as np

from flywheel.components.curation.clustering.points import Case, shown_text, wording
from flywheel.components.curation.clustering.trend import EPOCH, microseconds
from flywheel.components.curation.clustering.users import Users
from flywheel.components.curation.duplicates.spilled_texts import SpilledTexts, Texts

_AT_ONCE = 256  # texts that are read together
_SORTED = 8 << 20  # bytes of texts that are sorted together
_MERGED = 32  # texts of each sorted part that wait to be merged


class Exchanges:
    """Cases, once `finish` was called; use it in a `with` statement, or its files stay until nobody refers to it.

    Args:
        encoder: Name of the encoder: it decides what text is shown to it (`points.shown_text`).
        users: Whose numbers the users get.

    Attributes:
        encoder: Name of the encoder.
        people: Whose numbers the users have.
        users: Number of each case's user (`users.Users`), int32 (n,).
        times: When each case was, microseconds since 1970, int64 (n,); 0 where that is not known.
        rows: Index of each case's text among the distinct ones, which are sorted, int32 (n,).
        firsts: A case that has each distinct text, int64 (texts,).
        wordings: Digest of question and answer of each case as they were written, uint64 (n,).
        shown: What is encoded of each case.
        words: Content words of each case.
        questions: Question of each case.
    """

    def __init__(self, encoder: str, users: Users) -> None:
        self.encoder = encoder
        self.people = users
        self.users = np.zeros(0, np.int32)
        self.times = np.zeros(0, np.int64)
        self.rows = np.zeros(0, np.int32)
        self.firsts = np.zeros(0, np.int64)
        self.wordings = np.zeros(0, np.uint64)
        self.shown, self.words, self.questions = SpilledTexts(), SpilledTexts(), SpilledTexts()
        self._users = array("i")
        self._times = array("q")
        self._wordings = array("Q")
        self._shown = array("Q")
        self._finished = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for texts in (self.shown, self.words, self.questions):
            texts.__exit__(*error)

    def __len__(self) -> int:
        return len(self._users)

    @property
    def texts(self) -> int:
        """Number of distinct texts."""
        return len(self.firsts)

    def add(self, cases: Iterable[Case]) -> None:
        """Put cases behind those that are there; not possible once `finish` was called."""
        some = list(cases)
        self._users.extend(self.people.numbers(case.user for case in some).tolist())
        self._times.extend(microseconds(case.at or EPOCH for case in some))
        read = [wording(case) for case in some]
        shown = [shown_text(case, one.words, self.encoder) for case, one in zip(some, read, strict=True)]
        self._shown.extend(_digests(shown))
        self._wordings.extend(_digests(one.written for one in read))
        self.shown.append(shown)
        self.words.append([" ".join(one.words) for one in read])
        self.questions.append([case.question for case in some])

    def finish(self) -> Self:
        """End the writing and sort the distinct texts."""
        if self._finished:
            return self
        self._finished = True
        for texts in (self.shown, self.words, self.questions):
            texts.finish()
        self.users = np.array(self._users, np.int32)
        self.times = np.array(self._times, np.int64)
        self.wordings = np.array(self._wordings, np.uint64)
        _, firsts, rows = np.unique(np.array(self._shown, np.uint64), return_index=True, return_inverse=True)
        order = order_of_texts(self.shown, firsts)
        place = np.empty(len(order), np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        self.firsts, self.rows = firsts[order], place[rows]
        return self

    def read(self, texts: Texts, cases: np.ndarray) -> Iterator[tuple[int, str]]:
        """The texts of some cases one after the other, each with its case; a block of them is in memory."""
        for start in range(0, len(cases), _AT_ONCE):
            block = cases[start : start + _AT_ONCE]
            yield from zip(block.tolist(), texts.read(block), strict=True)


def exchanges_of(cases: Iterable[Case], encoder: str = "hashed") -> Exchanges:
    """Exchanges of cases that are in memory."""
    made = Exchanges(encoder, Users())
    made.add(cases)
    return made.finish()


def order_of_texts(texts: Texts, numbers: np.ndarray) -> np.ndarray:
    """Places of the given texts in the order of their characters: `numbers[order]` is sorted.

    Parts that fit into memory are sorted, then merged (external merge sort), so that memory does not hold the texts.

    Args:
        texts: Texts.
        numbers: Numbers of distinct ones, shape (n,).
    """
    parts: list[np.ndarray] = []
    ends = np.cumsum(texts.lengths[numbers], dtype=np.int64)
    start = 0
    while start < len(numbers):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _SORTED, side="right")))
        some = texts.read(numbers[start:stop])
        parts.append(start + np.array(sorted(range(len(some)), key=some.__getitem__), np.int64))
        start = stop
    if len(parts) == 1:
        return parts[0]

    def stream(part: np.ndarray) -> Iterator[tuple[str, int]]:
        blocks = (part[at : at + _MERGED] for at in range(0, len(part), _MERGED))
        yield from chain.from_iterable(zip(texts.read(numbers[block]), block.tolist(), strict=True) for block in blocks)

    return np.fromiter((place for _, place in heapq.merge(*map(stream, parts))), np.int64, len(numbers))


def _digests(texts: Iterable[str]) -> Iterator[int]:
    """Eight bytes of each text; two texts are taken for one with probability 2^-64."""
    for text in texts:
        made = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        yield int.from_bytes(made, "little")

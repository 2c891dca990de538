"""What speaks for pairs, question by question: the accepted corrections and the rated answers.

The rows lie on disk with their texts. In memory each has about 100 bytes: where it lies, and the numbers of its
question and answers. Texts whose normal forms have one digest of 128 bits are taken for one: two different ones have
it with probability 2^-128, any two of a million with less than 10^-26.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, pairwise
from typing import Any, Self

import numpy as np

from flywheel.components.curation.duplicates import near_duplicates
from flywheel.components.curation.duplicates.documents import SpilledDocuments
from flywheel.components.curation.duplicates.spilled_texts import SpilledTexts
from flywheel.components.curation.preferences.answers import Answer, Row, Vote, gather, question_of
from flywheel.components.curation.preferences.spilled_records import SpilledRecords
from flywheel.components.curation.preferences.supporters import key_of
from flywheel.components.curation.texts.digests import SIZE, array_of, digest, numbered
from flywheel.components.curation.texts.normal_form import normal_form
from flywheel.components.store.tables import row_id

_OF_VOTE = ("messages", "prompt", "response", "timestamp", "up_by", "down_by", "rating_ids")
OF_CANDIDATE = (
    *("messages", "prompt", "response", "timestamp", "correction", "category", "confidence"),
    *("candidate_id", "group_id", "interaction_id", "subject"),
)
_ROWS = 512
_SENTENCE = 4  # words


@dataclass(frozen=True)
class Correction:
    """An accepted candidate.

    Attributes:
        key: What `Supporters` knows it by.
        wrong: Number of the normal form of the answer.
        right: Number of the normal form of the correction.
        row: The candidate.
        at: When it was made.
    """

    key: bytes
    wrong: int
    right: int
    row: Row
    at: datetime | None


@dataclass(frozen=True)
class Asked:
    """Everything that was said about near-equal questions.

    Attributes:
        corrections: Accepted candidates.
        answers: Rated answers, equal ones together.
        corrected: Numbers of the answers here that a correction replaced.
        right: Numbers of the answers here that are an accepted correction.
        group_id: Near-duplicate group: that of the candidates, its own where there are none; None between two groups.
    """

    corrections: Sequence[Correction]
    answers: Sequence[Answer]
    corrected: frozenset[int]
    right: frozenset[int]
    group_id: str | None


class Evidence:
    """Candidates and votes on disk, by question; use it in a `with` statement.

    A whole sentence that a candidate replaces, or gives, is wrong or right for every question that got it as its
    answer: "The Borel 7 costs 5 euros." is out of date however one asks for it. A word or two, such as "yes", count for
    their own question only.
    """

    def __init__(self, candidates: Iterable[Row], votes: Iterable[Row], lexicon: frozenset[str]) -> None:
        """Read both, once.

        Args:
            candidates: Accepted candidates.
            votes: Rated interactions of `stages.votes`.
            lexicon: Names of the corpus.
        """
        self._rows = SpilledRecords()
        asked, said, keys, sentences = bytearray(), bytearray(), bytearray(), bytearray()
        with SpilledTexts() as texts:
            for some, columns in _pieces(candidates, votes):
                self._rows.append({name: row[name] for name in columns} for row in some)
                for row in some:
                    question = question_of(row)
                    forms = [normal_form(row[name]) for name in ("response", "correction") if name in columns]
                    texts.append(question)
                    asked += bytes.fromhex(row_id("group", *question))
                    said += b"".join(digest((form,)) for form in forms)
                    if len(forms) == 2:
                        keys += key_of(question, forms[1])
                        sentences += bytes(len(form.split()) >= _SENTENCE for form in forms)
            self._rows.finish()
            self._groups = array_of([asked])
            questions = SpilledDocuments(texts.finish(), 2, 2, self._groups)
            self._topics = near_duplicates.group(questions, lexicon).astype(np.int32)
        self._asked = numbered(self._groups).astype(np.int32)
        numbers = numbered(array_of([said])).astype(np.int32)
        whole = np.frombuffer(sentences, dtype=bool)
        self._keys, self._candidates = bytes(keys), len(whole) // 2
        self._wrong, self._right = numbers[: len(whole) : 2], numbers[1 : len(whole) : 2]
        self._said = numbers[len(whole) :]
        self._wrong_anywhere = np.isin(self._said, self._wrong[whole[::2]])
        self._right_anywhere = np.isin(self._said, self._right[whole[1::2]])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.__exit__()

    def by_question(self) -> Iterator[Asked]:
        """Everything that was said, one set of near-equal questions after the other.

        In memory lie the candidates of one set, and of its answers one wording and the ids of their ratings each.
        """
        order = np.argsort(self._topics, kind="stable")  # candidates have the lower numbers
        borders = [*np.flatnonzero(np.diff(self._topics[order], prepend=-1)), len(order)]
        rows = self._rows.stream(order)
        for begin, end in pairwise(borders):
            yield self._about(order[begin:end], rows)

    def _about(self, numbers: np.ndarray, rows: Iterator[dict[str, Any]]) -> Asked:
        """What the next rows say, which have these numbers."""
        first_vote = int(np.searchsorted(numbers, self._candidates))
        corrections = [self._correction(*one) for one in zip(numbers[:first_vote].tolist(), rows, strict=False)]
        votes = numbers[first_vote:]
        said = self._said[votes - self._candidates]
        corrected = set(said[self._wrong_anywhere[votes - self._candidates]].tolist())
        right = set(said[self._right_anywhere[votes - self._candidates]].tolist())
        answers = gather(
            Vote(asked, answer, row, _time(row))
            for asked, answer, row in zip(self._asked[votes].tolist(), said.tolist(), rows, strict=False)
        )
        groups = {str(one.row["group_id"]) for one in corrections}
        own = min(self._groups[number].tobytes() for number in numbers).hex()
        return Asked(
            corrections,
            answers,
            corrected=frozenset(corrected | {one.wrong for one in corrections}),
            right=frozenset(right | {one.right for one in corrections}),
            group_id=None if len(groups) > 1 else next(iter(groups), own),
        )

    def _correction(self, number: int, row: Row) -> Correction:
        key = self._keys[SIZE * number : SIZE * (number + 1)]
        return Correction(key, int(self._wrong[number]), int(self._right[number]), row, _time(row))


def _time(row: Row) -> datetime | None:
    return datetime.fromisoformat(row["timestamp"]) if row["timestamp"] else None


def _pieces(candidates: Iterable[Row], votes: Iterable[Row]) -> Iterator[tuple[list[Row], tuple[str, ...]]]:
    """All candidates, then all votes, some at a time, and the columns that are needed of them."""
    for rows, columns in ((iter(candidates), OF_CANDIDATE), (iter(votes), _OF_VOTE)):
        while some := list(islice(rows, _ROWS)):
            yield some, columns

"""Rated answers to near-equal questions, equal ones together.

Near-equal is what `near_duplicates` says: Jaccard and typos only, with equal numbers, names and negations, so that an
answer about one product is never compared with an answer about another.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from flywheel.components.curation.corrections import context_of
from flywheel.components.curation.duplicates import near_duplicates
from flywheel.components.curation.preferences.pair import Messages
from flywheel.components.curation.texts.normal_form import normal_form, question_form

Row = Mapping[str, Any]
Question = tuple[str, str]  # normal forms of what was said before, and of the question


@dataclass(frozen=True, eq=False)
class Answer:
    """One answer to one question, with everybody who rated it.

    Attributes:
        asked: Number of its question.
        said: Number of its normal form.
        row: What stands for it: messages, prompt and response.
        up: Subjects who rated it up and never down.
        down: Subjects who rated it down and never up.
        evidence_ids: Their ratings.
        at: When it was first given.
    """

    asked: int
    said: int
    row: Row
    up: frozenset[str]
    down: frozenset[str]
    evidence_ids: frozenset[str]
    at: datetime | None

    @property
    def text(self) -> str:
        """The answer."""
        return str(self.row["response"])

    @cached_property
    def prompt(self) -> Messages:
        """Messages up to the question."""
        return prompt_of(self.row)

    @cached_property
    def question(self) -> Question:
        """Its question."""
        return question_of(self.row)

    @cached_property
    def form(self) -> str:
        """Its normal form."""
        return normal_form(self.text)

    @cached_property
    def words(self) -> int:
        """Words of its normal form."""
        return len(self.form.split())

    @property
    def net(self) -> int:
        """Subjects for it less subjects against it."""
        return len(self.up) - len(self.down)

    @property
    def belief(self) -> float:
        """Share of the subjects for it, with one subject of doubt on either side (Laplace), in (0, 1)."""
        return (len(self.up) + 1) / (len(self.up) + len(self.down) + 2)


@dataclass(frozen=True)
class Vote:
    """A rated interaction.

    Attributes:
        asked: Number of its question.
        said: Number of the normal form of its answer.
        row: Messages, prompt, response, up_by, down_by, rating_ids.
        at: When the answer was given.
    """

    asked: int
    said: int
    row: Row
    at: datetime | None


def question_of(row: Row) -> Question:
    """The question of a candidate or rated interaction."""
    return normal_form(context_of(row["messages"])), question_form(row["prompt"])


def prompt_of(row: Row) -> Messages:
    """The messages up to the last user message; the bare prompt when there are none."""
    turns = json.loads(row["messages"] or "[]")
    last = max((i for i, turn in enumerate(turns) if turn["role"] == "user"), default=None)
    if last is None:
        return [{"role": "user", "content": row["prompt"]}]
    return [{"role": turn["role"], "content": turn["content"]} for turn in turns[: last + 1]]


@dataclass
class _Said:
    """What was seen of one answer so far."""

    up: set[str] = field(default_factory=set)
    down: set[str] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)
    at: datetime | None = None
    asked: dict[int, int] = field(default_factory=dict)  # question -> how often
    wording: dict[int, tuple[str, str, str]] = field(default_factory=dict)  # question -> the first in order


def gather(votes: Iterable[Vote]) -> list[Answer]:
    """Put equal answers to near-equal questions together.

    Args:
        votes: Rated interactions about near-equal questions; each is forgotten once it was looked at.

    Returns:
        The answers, in order of `said`. A subject who rated an answer both up and down says nothing.
    """
    same: dict[int, _Said] = {}
    for vote in votes:
        known = same.setdefault(vote.said, _Said())
        known.up.update(vote.row["up_by"])
        known.down.update(vote.row["down_by"])
        known.ids.update(vote.row["rating_ids"])
        known.at = min((at for at in (known.at, vote.at) if at), default=None)
        known.asked[vote.asked] = known.asked.get(vote.asked, 0) + 1
        wording = (vote.row["messages"], vote.row["response"], vote.row["prompt"])
        known.wording[vote.asked] = min(known.wording.get(vote.asked, wording), wording)
    found = []
    for said, known in sorted(same.items()):
        # The wording that was answered so most often stands for all of them.
        asked = min(known.asked, key=lambda one: (-known.asked[one], *known.wording[one]))
        row = dict(zip(("messages", "response", "prompt"), known.wording[asked], strict=True))
        up, down = frozenset(known.up - known.down), frozenset(known.down - known.up)
        found.append(Answer(asked, said, row, up, down, frozenset(known.ids), known.at))
    return found


def near_equal(a: Answer, b: Answer, lexicon: frozenset[str]) -> bool:
    """Whether the two questions themselves are near-equal, and not only joined by others between them."""
    return a.asked == b.asked or near_duplicates.similar(a.question, b.question, lexicon)

"""Rated answers, and which of them answer near-equal questions.

Near-equal is what `near_duplicates` says: Jaccard and typos only, with equal numbers, names and negations, so that an
answer about one product is never compared with an answer about another.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flywheel.components.curation.corrections import context_of
from flywheel.components.curation.duplicates import near_duplicates
from flywheel.components.curation.preferences.pair import Messages
from flywheel.components.curation.texts.normal_form import normal_form, question_form

Row = Mapping[str, Any]
Question = tuple[str, str]  # normal forms of what was said before, and of the question


@dataclass(frozen=True)
class Answer:
    """One answer to one question, with everybody who rated it.

    Attributes:
        question: Its question.
        prompt: Messages up to the question.
        text: The answer.
        form: Its normal form.
        up: Subjects who rated it up and never down.
        down: Subjects who rated it down and never up.
        evidence_ids: Their ratings.
        at: When it was first given.
    """

    question: Question
    prompt: Messages
    text: str
    form: str
    up: frozenset[str]
    down: frozenset[str]
    evidence_ids: frozenset[str]
    at: datetime | None

    @property
    def net(self) -> int:
        """Subjects for it less subjects against it."""
        return len(self.up) - len(self.down)

    @property
    def belief(self) -> float:
        """Share of the subjects for it, with one subject of doubt on either side (Laplace), in (0, 1)."""
        return (len(self.up) + 1) / (len(self.up) + len(self.down) + 2)


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


def gather(rated: Sequence[Row], topics: Sequence[int]) -> dict[int, list[Answer]]:
    """Put equal answers to near-equal questions together.

    Args:
        rated: Rated interactions of `stages.votes`.
        topics: Label of the question of each.

    Returns:
        Topic -> its answers, in order of their normal form. A subject who rated an answer both up and down says
        nothing.
    """
    same: dict[tuple[int, str], list[Row]] = {}
    for row, topic in zip(rated, topics, strict=True):
        same.setdefault((topic, normal_form(row["response"])), []).append(row)
    found: dict[int, list[Answer]] = {}
    for (topic, form), rows in sorted(same.items()):
        up, down = ({subject for row in rows for subject in row[side]} for side in ("up_by", "down_by"))
        # The wording that was answered so most often stands for all of them.
        asked = [question_of(row) for row in rows]
        first = min(rows, key=lambda row: (-asked.count(question_of(row)), row["messages"], row["response"]))
        found.setdefault(topic, []).append(
            Answer(
                question=question_of(first),
                prompt=prompt_of(first),
                text=first["response"],
                form=form,
                up=frozenset(up - down),
                down=frozenset(down - up),
                evidence_ids=frozenset(name for row in rows for name in row["rating_ids"]),
                at=min((row["timestamp"] for row in rows if row["timestamp"]), default=None),
            )
        )
    return found


def near_equal(a: Answer, b: Answer, lexicon: frozenset[str]) -> bool:
    """Whether the two questions themselves are near-equal, and not only joined by others between them."""
    return a.question == b.question or near_duplicates.similar(a.question, b.question, lexicon)

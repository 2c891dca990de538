"""Feedback that names a conversation only finds the answer that it is about.

A turn number, or a conversation that held one answer so far, leaves no doubt: the feedback keeps its kind and its
voice. Otherwise the last answer before it is the likely one, how likely is measured on the store's own late feedback
that does name its answer; such a row is implicit, made by code, and never counts as somebody's vote.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from flywheel.components.intake.joining.dialogues import Turn
from flywheel.components.statistics.binomial_bounds import lower_bound

LEVEL = 0.95
EXPLICIT = frozenset({"rating", "correction", "comment"})


@dataclass
class Placing:
    """How often late feedback with an id is about the last answer before it, in conversations with several answers.

    Attributes:
        seen: Late feedback rows of that kind.
        last: Those about the last answer.
    """

    seen: int = 0
    last: int = 0

    def watch(self, turns: list[Turn], interaction_id: str, at: datetime) -> None:
        """Count a feedback row that names its interaction.

        Args:
            turns: The conversation's turns.
            interaction_id: The interaction named.
            at: Time of the feedback; only feedback that came after its answer tells anything.
        """
        before = [turn for turn in turns if turn.at < at]
        if len(before) > 1 and any(turn.turn_id == interaction_id for turn in before):
            self.seen += 1
            self.last += before[-1].turn_id == interaction_id

    def confidence(self, answers: int) -> float:
        """Chance that the last of so many answers is meant: the measured one, and no less than that of a blind guess.

        Args:
            answers: Answers before the feedback, at least 1.
        """
        if answers == 1:
            return 1.0
        measured = lower_bound(self.last, self.seen, LEVEL) if self.seen else 0.0
        return round(max(measured, 1 / answers), 3)


@dataclass(frozen=True)
class Place:
    """Where feedback about a conversation belongs.

    Attributes:
        turn: The answer; None: it waits.
        answers: Answers that it may be about; 1 when there is no doubt.
        reason: Why it waits: `no_conversation`, `no_such_turn` or `before_any_answer`; "" otherwise.
    """

    turn: Turn | None
    answers: int
    reason: Literal["", "no_conversation", "no_such_turn", "before_any_answer"] = ""


def place(turns: list[Turn], number: int | None, at: datetime) -> Place:
    """Find the answer that feedback about a conversation means.

    Args:
        turns: The conversation's turns in order; none: it is not there yet.
        number: Number of the answer from 1, when the feedback names it.
        at: Time of the feedback.
    """
    if not turns:
        return Place(None, 0, "no_conversation")
    if number is not None:
        return Place(turns[number - 1], 1) if number <= len(turns) else Place(None, 0, "no_such_turn")
    before = [turn for turn in turns if turn.at <= at]
    return Place(before[-1], len(before)) if before else Place(None, 0, "before_any_answer")


def superseded(rows: list[dict[str, Any]]) -> int:
    """How many ratings and corrections a later one of the same user about the same answer replaces.

    Args:
        rows: Feedback rows of one interaction; `subject` already the interaction's for rows without a user.
    """
    said = [(row["subject"], row["kind"]) for row in rows if row["kind"] in ("rating", "correction")]
    return len(said) - len(set(said))

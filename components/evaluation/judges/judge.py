"""What a judge of helpfulness is asked and what it says."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from flywheel.components.contracts.feedback import Message
from flywheel.components.evaluation.scores.score_lines import Preference


@dataclass(frozen=True)
class Comparison:
    """Two answers to one question.

    Attributes:
        messages: The conversation up to the question.
        references: Known good answers; may be empty.
        candidate: The candidate's answer.
        production: Production's answer.
    """

    messages: tuple[Message, ...]
    references: tuple[str, ...]
    candidate: str
    production: str


@dataclass(frozen=True)
class Judgement:
    """What a judge says about two answers: a preference, two scores, or why it says nothing.

    Attributes:
        preference: Winner with the candidate's answer shown first, and winner with it shown second.
        candidate: Score of the candidate's answer in [0, 1].
        production: Score of production's answer in [0, 1].
        failure: Why there is no verdict; a failure is never a tie.
    """

    preference: tuple[Preference, Preference] | None = None
    candidate: float | None = None
    production: float | None = None
    failure: str = ""


class Judge(Protocol):
    """Something that judges answers; it may be biased, which is why people label a part of them too."""

    @property
    def identity(self) -> str:
        """Name, version and settings: whatever may change what it says."""

    def judge(self, comparisons: Sequence[Comparison]) -> list[Judgement]:
        """Return one judgement per comparison, in order."""

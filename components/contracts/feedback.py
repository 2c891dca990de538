"""The feedback record `flywheel.feedback/v1`: one interaction with whatever its user said about it.

A log line is one record. It may hold the interaction (`messages` and `response`), signals about it, or both; a line
with signals only refers to an earlier interaction by its id (late feedback).
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import AliasChoices, Field, model_validator

from flywheel.components.contracts.document import Document

# Source of the rows that joining derives from others: it alone writes them, and replaces them when it knows better.
JOINED_SOURCE = "flywheel.joining"
# Source of the rows that a canary's simulated users write: drawn reactions, not observed ones.
SIMULATED_SOURCE = "flywheel.simulated"

SCHEMA: Literal["flywheel.feedback/v1"] = "flywheel.feedback/v1"


class Annotator(StrEnum):
    """Who made a signal (the vocabulary of OpenInference's `annotator_kind`, with the end user told apart)."""

    USER = "user"
    HUMAN = "human"
    LLM = "llm"
    CODE = "code"


class SignalKind(StrEnum):
    """What a feedback row says."""

    RATING = "rating"  # value -1, 0, +1
    CORRECTION = "correction"  # text: what the answer should have been
    COMMENT = "comment"  # text
    # name: regenerate, rephrase, abandon, copy, click; mined from next turns (annotator code) also dissatisfied,
    # corrected, accepted; value: 1 when reported, else the measured confidence of the rule that saw it
    IMPLICIT = "implicit"
    AUTOMATED = "automated"  # name: latency_ms, error, tokens, judge_score; value
    SCORE = "score"  # name: what was judged; value on the judge's own scale, text: its label or explanation
    REVIEW = "review"  # a human reviewer's word on a candidate; name: category or verdict


class Message(Document):
    """One chat message in the OpenAI shape (text only)."""

    role: Literal["system", "user", "assistant", "tool", "developer"]
    content: str


class Score(Document):
    """A judgement on a scale of its own, as evaluators and annotation tools give it; never guessed into a rating.

    `value` is on whatever scale `name` has; `label` is its category, `explanation` the judge's words.
    """

    name: str = Field(min_length=1, max_length=200)
    value: float | None = Field(default=None, allow_inf_nan=False)
    label: str | None = None
    explanation: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "Score":
        if self.value is None and self.label is None and self.explanation is None:
            raise ValueError("a score needs a value, a label or an explanation")
        return self


class Signals(Document):
    """What is known about how an answer was received; every field is optional."""

    rating: Literal[-1, 0, 1] | None = None
    correction: str | None = None
    comment: str | None = None
    implicit: tuple[Literal["regenerate", "rephrase", "abandon", "copy", "click"], ...] = ()
    latency_ms: float | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=0)
    error: str | None = None
    scores: tuple[Score, ...] = ()

    def empty(self) -> bool:
        """Whether nothing was said at all."""
        return self == Signals()


class FeedbackRecord(Document):
    """One line of a feedback log, as the outside world writes it: `user` may still be a name or an address.

    Signals alone name the interaction that they are about, or its conversation and maybe the number of the answer in it
    (`turn`, from 1); joining finds the answer then.

    Unknown fields are not an error at this border: intake keeps them (scrubbed) in `attributes`.
    """

    schema_: Literal["flywheel.feedback/v1"] = Field(default=SCHEMA, alias="schema")
    interaction: str | None = Field(default=None, min_length=1, max_length=512)
    conversation: str | None = None
    turn: int | None = Field(default=None, ge=1)
    user: str | None = Field(default=None, validation_alias=AliasChoices("user", "user_id"))
    timestamp: datetime
    model_version: str | None = None
    messages: tuple[Message, ...] = ()
    response: str | None = None
    signals: Signals = Signals()
    source: str = "log"
    consent: bool = True
    language: str | None = None
    attributes: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_something(self) -> "FeedbackRecord":
        if not self.messages and self.response is None:
            if self.interaction is None and not self.conversation:
                raise ValueError("a record without messages must name the interaction or the conversation it is about")
            if self.signals.empty():
                raise ValueError("a record needs messages with a response, or signals about an interaction")
        elif not any(message.role == "user" and message.content.strip() for message in self.messages):
            raise ValueError("messages hold no user message with text")
        return self

"""The feedback record `flywheel.feedback/v1`: one interaction with whatever its user said about it.

A log line is one record. It may hold the interaction (`messages` and `response`), signals about it, or both; a line
with signals only refers to an earlier interaction by its id (late feedback).
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import AliasChoices, Field, model_validator

from flywheel.components.contracts.document import Document

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
    IMPLICIT = "implicit"  # name: regenerate, rephrase, abandon, copy, click
    AUTOMATED = "automated"  # name: latency_ms, error, tokens, judge_score; value
    REVIEW = "review"  # a human reviewer's word on a candidate; name: category or verdict


class Message(Document):
    """One chat message in the OpenAI shape (text only)."""

    role: Literal["system", "user", "assistant", "tool", "developer"]
    content: str


class Signals(Document):
    """What is known about how an answer was received; every field is optional."""

    rating: Literal[-1, 0, 1] | None = None
    correction: str | None = None
    comment: str | None = None
    implicit: tuple[Literal["regenerate", "rephrase", "abandon", "copy", "click"], ...] = ()
    latency_ms: float | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=0)
    error: str | None = None

    def empty(self) -> bool:
        """Whether nothing was said at all."""
        return self == Signals()


class FeedbackRecord(Document):
    """One line of a feedback log, as the outside world writes it: `user` may still be a name or an address.

    Unknown fields are not an error at this border: intake keeps them (scrubbed) in `attributes`.
    """

    schema_: Literal["flywheel.feedback/v1"] = Field(default=SCHEMA, alias="schema")
    interaction: str | None = Field(default=None, min_length=1, max_length=512)
    conversation: str | None = None
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
            if self.interaction is None:
                raise ValueError("a record without messages must name the interaction it is about")
            if self.signals.empty():
                raise ValueError("a record needs messages with a response, or signals about an interaction")
        elif not any(message.role == "user" and message.content.strip() for message in self.messages):
            raise ValueError("messages hold no user message with text")
        return self

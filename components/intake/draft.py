"""A row on its way into the tables: ids are known, texts are not scrubbed yet. Never written as it is."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from flywheel.components.contracts.feedback import Annotator, FeedbackRecord, Score, SignalKind
from flywheel.components.intake.json_text import text_of
from flywheel.components.intake.pseudonyms import Pseudonymizer
from flywheel.components.intake.raw_row import RawRow
from flywheel.components.intake.records import ReadRecord
from flywheel.components.intake.scrubbed_json import collect, rebuild

UNKNOWN_LANGUAGE = "und"  # BCP 47: undetermined


@dataclass(slots=True)  # not frozen, as RawRow
class Signal:
    """One feedback row to be; `feedback_id` comes from the raw content under the key, so better scrubbing keeps it."""

    feedback_id: str
    kind: SignalKind
    annotator: Annotator
    name: str
    value: float | None
    text: str | None


@dataclass(slots=True)
class Draft:
    """One good row: which interaction it is or is about, and its signals."""

    raw: RawRow
    read: ReadRecord
    interaction_id: str
    conversation_id: str
    subject: str
    content: str  # keyed digest of the interaction's content; "" when the row holds signals only
    signals: tuple[Signal, ...]

    @property
    def record(self) -> FeedbackRecord:
        """The validated record."""
        return self.read.record

    def origin(self) -> dict[str, Any]:
        """Where the row came from: kept with it, so that a repeated attempt recognises its own rows."""
        origin: dict[str, Any] = {"file": self.raw.file, "line": self.raw.line, "format": self.read.shape}
        if self.raw.part:
            origin["part"] = self.raw.part
        if self.content:
            origin["content"] = self.content
        if self.read.time_assumed:
            origin["time_assumed"] = True
        if self.record.interaction is None and not self.content:
            origin["conversation"] = self.conversation_id
            if self.record.turn is not None:
                origin["turn"] = self.record.turn
        if not self.record.user and not self.content:
            origin["anonymous"] = True  # joining takes the interaction's user for the one who speaks
        return origin

    def placeholder_key(self, pseudonyms: Pseudonymizer) -> bytes:
        """Return the key of the conversation's placeholders; empty when the row names no conversation."""
        return bytes.fromhex(pseudonyms.of("placeholders", self.conversation_id)) if self.record.conversation else b""

    def texts(self) -> list[str]:
        """Return all free text of the row for scrubbing, in the order that `rows` takes it back."""
        record = self.record
        texts = [message.content for message in record.messages]
        texts += [record.response or "", record.model_version or "", record.source, record.language or ""]
        texts += [signal.text for signal in self.signals if signal.text is not None]
        texts += [signal.name for signal in self.signals if signal.kind == SignalKind.SCORE]
        collect(record.attributes, texts)
        return texts

    def rows(self, run_id: str, scrubbed: Iterator[str], origin_file: str) -> "TableRows":
        """Make the table rows from the scrubbed texts.

        Args:
            run_id: Run that writes.
            scrubbed: The scrubbed `texts()`, in their order.
            origin_file: Scrubbed label of the file.
        """
        record = self.record
        messages = [{"role": message.role, "content": next(scrubbed)} for message in record.messages]
        response, model_version, source, language = (next(scrubbed) for _ in range(4))
        signal_texts = [None if signal.text is None else next(scrubbed) for signal in self.signals]
        names = [next(scrubbed) if signal.kind == SignalKind.SCORE else signal.name for signal in self.signals]
        attributes = rebuild(record.attributes, scrubbed)
        intake = self.origin() | {"file": origin_file}
        shared = {"subject": self.subject, "timestamp": record.timestamp, "source": source, "run_id": run_id}
        interaction = None
        if self.content:
            questions = [message["content"] for message in messages if message["role"] == "user"]
            interaction = shared | {
                "interaction_id": self.interaction_id,
                "conversation_id": self.conversation_id,
                "model_version": model_version,
                "messages": _json(messages),
                "prompt": questions[-1] if questions else "",
                "response": response,
                "language": language or UNKNOWN_LANGUAGE,
                "consent": True,
                "attributes": _json(attributes | {"intake": intake}),
            }
        kept = {"intake": intake} if interaction else attributes | {"intake": intake}
        feedback = [
            shared
            | {
                "feedback_id": signal.feedback_id,
                "interaction_id": self.interaction_id,
                "kind": signal.kind.value,
                "annotator": signal.annotator.value,
                "name": name,
                "value": signal.value,
                "text": text,
                "attributes": _json(kept),
            }
            for signal, name, text in zip(self.signals, names, signal_texts, strict=True)
        ]
        return TableRows(interaction, feedback)


@dataclass(slots=True)
class TableRows:
    """Rows for the interactions and the feedback table."""

    interaction: dict[str, Any] | None
    feedback: list[dict[str, Any]]


def _json(value: Any) -> str:
    return text_of(value)


def make_draft(raw: RawRow, read: ReadRecord, safe_ids: dict[str, str], pseudonyms: Pseudonymizer) -> Draft:
    """Derive the ids of a good row.

    Args:
        raw: The row as read.
        read: Its record.
        safe_ids: Given id -> id to use (a pseudonym when the given one holds personal data).
        pseudonyms: The store's keyed hash.
    """
    record = read.record
    content = ""
    if record.messages:
        said = [[message.role, message.content] for message in record.messages]
        content = pseudonyms.of("content", _canonical([said, record.response, record.model_version, record.user]))
    if record.interaction is not None:
        interaction_id = safe_ids[record.interaction]
    else:
        moment = None if read.time_assumed else record.timestamp.isoformat()
        about = [content, record.conversation, moment] if content else ["", record.conversation, record.turn]
        interaction_id = pseudonyms.of("interaction", _canonical(about))
    conversation_id = interaction_id if not record.conversation else safe_ids[record.conversation]
    person = f"user:{record.user}" if record.user else f"conversation:{conversation_id}"
    subject = pseudonyms.of("subject", person)
    return Draft(
        raw, read, interaction_id, conversation_id, subject, content, tuple(_signals(read, interaction_id, pseudonyms))
    )


def _signals(read: ReadRecord, interaction_id: str, pseudonyms: Pseudonymizer) -> Iterator[Signal]:
    record = read.record
    moment = None if read.time_assumed else record.timestamp.isoformat()
    for kind, annotator, name, value, text in _said(read):
        identity = _canonical([interaction_id, kind, annotator, name, value, text, moment])
        yield Signal(pseudonyms.of("feedback", identity), kind, annotator, name, value, text)


def _said(read: ReadRecord) -> Iterator[tuple[SignalKind, Annotator, str, float | None, str | None]]:
    signals = read.record.signals
    who = read.annotator
    if signals.rating is not None:
        yield SignalKind.RATING, who, "rating", float(signals.rating), None
    if signals.correction is not None:
        yield SignalKind.CORRECTION, who, "correction", None, signals.correction
    if signals.comment is not None:
        yield SignalKind.COMMENT, who, "comment", None, signals.comment
    for name in dict.fromkeys(signals.implicit):
        yield SignalKind.IMPLICIT, who, name, 1.0, None
    for score in signals.scores:
        yield SignalKind.SCORE, who, score.name, score.value, _words(score)
    if signals.latency_ms is not None:
        yield SignalKind.AUTOMATED, Annotator.CODE, "latency_ms", signals.latency_ms, None
    if signals.tokens is not None and math.isfinite(signals.tokens):
        yield SignalKind.AUTOMATED, Annotator.CODE, "tokens", float(signals.tokens), None
    if signals.error is not None:
        yield SignalKind.AUTOMATED, Annotator.CODE, "error", 1.0, signals.error


def _words(score: Score) -> str | None:
    if score.label and score.explanation:
        return f"{score.label}: {score.explanation}"
    return score.label or score.explanation


def _canonical(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # lone surrogates
        return repr(value).encode("utf-8", "surrogatepass")

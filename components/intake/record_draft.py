"""From the feedback record of any row to its draft."""

import math
from collections.abc import Iterator
from typing import Any

from flywheel.components.contracts.feedback import Annotator, Score, SignalKind
from flywheel.components.intake.draft import Draft, Signal, canonical, members
from flywheel.components.intake.pseudonyms import SUBJECT, Pseudonymizer
from flywheel.components.intake.raw_row import RawRow
from flywheel.components.intake.records import ReadRecord
from flywheel.components.intake.scrubbed_json import collect


def make_draft(raw: RawRow, read: ReadRecord, safe_ids: dict[str, str], pseudonyms: Pseudonymizer) -> Draft:
    """Derive the ids of a good row.

    Args:
        raw: The row as read.
        read: Its record.
        safe_ids: Given id -> id to use (a pseudonym when the given one holds personal data).
        pseudonyms: The store's keyed hash.
    """
    record = read.record
    moment = None if read.time_assumed else record.timestamp.isoformat()
    messages = [[message.role, message.content] for message in record.messages]
    content = ""
    if messages:
        content = pseudonyms.of("content", canonical([messages, record.response, record.model_version, record.user]))
    if record.interaction is not None:
        interaction_id = safe_ids[record.interaction]
    else:
        about = [content, record.conversation, moment] if content else ["", record.conversation, record.turn]
        interaction_id = pseudonyms.of("interaction", canonical(about))
    conversation_id = interaction_id if not record.conversation else safe_ids[record.conversation]
    signals = []
    for kind, annotator, name, value, text in _said(read):
        identity = canonical([interaction_id, kind, annotator, name, value, text, moment])
        signals.append(Signal(pseudonyms.of("feedback", identity), kind, annotator, name, value, text))
    person = f"user:{record.user}" if record.user else f"conversation:{conversation_id}"
    origin: dict[str, Any] = {"line": raw.line, "format": read.shape}
    origin |= {"part": raw.part} if raw.part else {}
    origin |= {"content": content} if content else {}
    origin |= {"time_assumed": True} if read.time_assumed else {}
    if record.interaction is None and not content:
        origin["conversation"] = conversation_id
        origin |= {} if record.turn is None else {"turn": record.turn}
    if not record.user and not content:
        origin["anonymous"] = True  # joining takes the interaction's user for the one who speaks
    return Draft(
        raw=raw,
        shape=read.shape,
        moment=record.timestamp,
        interaction_id=interaction_id,
        conversation_id=conversation_id,
        subject=pseudonyms.of(SUBJECT, person),
        content=content,
        signals=signals,
        messages=messages,
        free_text=_texts(read, signals),
        attributes=record.attributes,
        origin=members(origin),
        named_conversation=bool(record.conversation),
    )


def _texts(read: ReadRecord, signals: list[Signal]) -> list[str]:
    """All free text, in the order that `Draft.texts` states."""
    record = read.record
    texts = [message.content for message in record.messages]
    texts += [record.response or "", record.model_version or "", record.source, record.language or ""]
    texts += [signal.text for signal in signals if signal.text is not None]
    texts += [signal.name for signal in signals if signal.kind == SignalKind.SCORE]
    collect(record.attributes, texts)
    return texts


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

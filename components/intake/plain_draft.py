"""From a plain row to its draft, with no model in between; a test says that `record_draft` makes the same of it."""

import orjson

from flywheel.components.contracts.feedback import Annotator, SignalKind
from flywheel.components.intake import plain_row
from flywheel.components.intake.draft import Draft, Signal
from flywheel.components.intake.plain_row import PlainRow
from flywheel.components.intake.pseudonyms import SUBJECT, Pseudonymizer
from flywheel.components.intake.raw_row import RawRow
from flywheel.components.intake.record_draft import make_draft
from flywheel.components.intake.records import ReadRecord
from flywheel.components.intake.scrubbed_json import collect

_SHAPE = "feedback"
_RATING, _CORRECTION, _COMMENT = SignalKind.RATING, SignalKind.CORRECTION, SignalKind.COMMENT
_AUTOMATED, _USER, _CODE = SignalKind.AUTOMATED, Annotator.USER, Annotator.CODE
_new = tuple.__new__  # half the time of calling a NamedTuple


def make_plain_draft(raw: RawRow, row: PlainRow, safe_ids: dict[str, str], pseudonyms: Pseudonymizer) -> Draft:
    """Derive the ids of a plain row.

    Args:
        raw: The row as read.
        row: Its fields.
        safe_ids: Given id -> id to use (a pseudonym when the given one holds personal data).
        pseudonyms: The store's keyed hash.
    """
    try:
        return _draft(raw, row, safe_ids, pseudonyms)
    except orjson.JSONEncodeError:  # lone surrogates
        read = ReadRecord(plain_row.record(row), _SHAPE, _USER, False)
        return make_draft(raw, read, safe_ids, pseudonyms)


def _draft(raw: RawRow, row: PlainRow, safe_ids: dict[str, str], pseudonyms: Pseudonymizer) -> Draft:
    interaction, conversation, user, moment, version, messages, response, said, source, language, attributes = row
    of, dumps = pseudonyms.of, orjson.dumps
    content = of("content", dumps([messages, response, version, user]))
    # orjson writes a moment in UTC as `isoformat` does.
    identity = (
        of("interaction", dumps([content, conversation, moment])) if interaction is None else safe_ids[interaction]
    )
    conversation_id = identity if conversation is None else safe_ids[conversation]
    texts = [text for _, text in messages]
    texts += (response or "", version or "", source, language or "")
    rating, correction, comment, latency_ms, tokens = said
    found: list[tuple[SignalKind, Annotator, str, float | None, str | None]] = []
    if rating is not None:
        found.append((_RATING, _USER, "rating", float(rating), None))
    if correction is not None:
        found.append((_CORRECTION, _USER, "correction", None, correction))
        texts.append(correction)
    if comment is not None:
        found.append((_COMMENT, _USER, "comment", None, comment))
        texts.append(comment)
    if latency_ms is not None:
        found.append((_AUTOMATED, _CODE, "latency_ms", latency_ms, None))
    if tokens is not None:
        found.append((_AUTOMATED, _CODE, "tokens", float(tokens), None))
    signals = [_new(Signal, (of("feedback", dumps([identity, *one, moment])), *one)) for one in found]
    if attributes:
        collect(attributes, texts)
    origin = {"file": raw.file, "line": raw.line, "format": _SHAPE}
    if raw.part:
        origin["part"] = raw.part
    origin["content"] = content
    subject = of(SUBJECT, f"conversation:{conversation_id}" if user is None else f"user:{user}")
    return Draft(
        raw,
        _SHAPE,
        moment,
        identity,
        conversation_id,
        subject,
        content,
        signals,
        messages,
        texts,
        attributes,
        origin,
        conversation is not None,
    )

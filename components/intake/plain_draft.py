"""From a plain row to its draft, with no model in between; a test says that `record_draft` makes the same of it."""

import orjson

from flywheel.components.contracts.feedback import Annotator, SignalKind
from flywheel.components.intake import plain_row
from flywheel.components.intake.draft import Draft, Signal
from flywheel.components.intake.plain_row import PlainRow
from flywheel.components.intake.pseudonyms import Pseudonymizer
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
    interaction, conversation, user, moment = row.interaction, row.conversation, row.user, row.moment
    version, messages, response = row.model_version, row.messages, row.response
    source, language, attributes = row.source, row.language, row.attributes
    of, dumps = pseudonyms.of, orjson.dumps
    content = of("content", dumps((messages, response, version, user)))
    # orjson writes a moment in UTC as `isoformat` does.
    if interaction is None:
        identity = of("interaction", dumps([content, conversation, moment]))
    else:
        identity = safe_ids[interaction]
    conversation_id = identity if conversation is None else safe_ids[conversation]
    texts = [text for _, text in messages]
    texts += (response or "", version or "", source, language or "")
    said = row.signals
    told: list[tuple[SignalKind, Annotator, str, float | None, str | None]] = []
    if said.rating is not None:
        told.append((_RATING, _USER, "rating", float(said.rating), None))
    if said.correction is not None:
        told.append((_CORRECTION, _USER, "correction", None, said.correction))
        texts.append(said.correction)
    if said.comment is not None:
        told.append((_COMMENT, _USER, "comment", None, said.comment))
        texts.append(said.comment)
    if said.latency_ms is not None:
        told.append((_AUTOMATED, _CODE, "latency_ms", said.latency_ms, None))
    if said.tokens is not None:
        told.append((_AUTOMATED, _CODE, "tokens", float(said.tokens), None))
    signals = [_new(Signal, (of("feedback", dumps((identity, *signal, moment))), *signal)) for signal in told]
    if attributes:
        collect(attributes, texts)
    part = f'"part":{raw.part},' if raw.part else ""
    return Draft(
        raw,
        _SHAPE,
        moment,
        identity,
        conversation_id,
        pseudonyms.of_person(f"conversation:{conversation_id}" if user is None else f"user:{user}"),
        content,
        signals,
        messages,
        texts,
        attributes,
        f'"line":{raw.line},"format":"{_SHAPE}",{part}"content":"{content}"',
        conversation is not None,
    )

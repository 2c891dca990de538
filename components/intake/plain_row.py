"""The short way for the usual row: our own shape, written as the contract says. What is unusual takes the long way.

Most rows of most logs are `flywheel.feedback/v1` to the letter. For those, msgspec checks the types of all fields while
it reads the line, and the few rules that no type tells are looked at here: together a tenth of the time that mapping
aliases and validating models takes. A test compares both ways on any row.
"""

from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec
import orjson
from pydantic import BaseModel

from flywheel.components.contracts.feedback import SCHEMA, FeedbackRecord, Message, Signals
from flywheel.components.intake import timestamps
from flywheel.components.intake.json_text import MAX_DEPTH

Model = TypeVar("Model", bound=BaseModel)
Attributes = dict[str, Any]

_Role = Literal["system", "user", "assistant", "tool", "developer"]
_SOURCE: str = FeedbackRecord.model_fields["source"].default
_EXACT = 2**53  # integers below it are floats too
_LONGEST_ID = 512
_ABSENT = msgspec.Raw()


class PlainSignals(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What a plain row says about the answer; what is None was not said."""

    rating: Literal[-1, 0, 1] | None = None
    correction: str | None = None
    comment: str | None = None
    latency_ms: float | None = None
    tokens: int | None = None


class PlainRow(msgspec.Struct, gc=False):
    """The checked fields of a row that follows the contract to the letter."""

    interaction: str | None
    conversation: str | None
    user: str | None
    moment: datetime
    model_version: str | None
    messages: list[list[str]]  # role and content of each
    response: str | None
    signals: PlainSignals
    source: str
    language: str | None
    attributes: Attributes


class _Message(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    role: _Role
    content: str


class _Fields(msgspec.Struct, forbid_unknown_fields=True, gc=False, rename={"schema_": "schema"}):
    messages: list[_Message]
    schema_: Literal["flywheel.feedback/v1"] | None = None
    interaction: str | None = None
    conversation: str | None = None
    user: str | None = None
    model_version: str | None = None
    response: str | None = None
    signals: PlainSignals | None = None
    source: str | None = None
    language: str | None = None
    consent: bool | None = None


class _Line(_Fields, kw_only=True):
    timestamp: str | int | float
    attributes: msgspec.Raw = _ABSENT  # any JSON is read by one parser, so that numbers mean the same everywhere


_read_line = msgspec.json.Decoder(_Line).decode
_NO_SIGNALS = PlainSignals()
_SIGNALS = frozenset(PlainSignals.__struct_fields__)
_OTHER_SIGNALS = {name: item for name, item in dict(Signals()).items() if name not in _SIGNALS}


def read_line(line: bytes, latest: datetime) -> PlainRow | None:
    """Read a line that says it is of our own shape.

    Args:
        line: JSON.
        latest: Later timestamps cannot be true (`timestamps.latest`).

    Returns:
        Its fields, for which the long way gives the same, or None: then that is to say what it is.
    """
    try:
        fields = _read_line(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if fields.schema_ is None:  # it may be another tool's
        return None
    given = fields.attributes
    if given is _ABSENT:
        return _checked(fields, fields.timestamp, {}, latest)
    text = bytes(given)
    if text.count(b"[") + text.count(b"{") >= MAX_DEPTH:
        return None
    try:
        return _checked(fields, fields.timestamp, orjson.loads(text), latest)
    except orjson.JSONDecodeError:
        return None


def read(value: dict[str, Any], latest: datetime) -> PlainRow | None:
    """As `read_line`, of a row that is a dictionary already."""
    rest = {name: item for name, item in value.items() if name not in ("timestamp", "attributes")}
    try:
        fields = msgspec.convert(rest, _Fields)
    except msgspec.ValidationError:
        return None
    return _checked(fields, value.get("timestamp"), value.get("attributes"), latest)


def _checked(fields: _Fields, timestamp: object, attributes: object, latest: datetime) -> PlainRow | None:
    """Look at what no type tells: no blank names, a user who says something, a moment that can be true."""
    messages, signals = _messages(fields), _NO_SIGNALS if fields.signals is None else _signals(fields.signals)
    if attributes is None:
        attributes = {}
    if messages is None or signals is None or type(attributes) is not dict or "consent" in attributes:
        return None
    interaction, conversation, user, version = (
        fields.interaction,
        fields.conversation,
        fields.user,
        fields.model_version,
    )
    for text in (interaction, conversation, user, version):
        if text is not None and not text.strip():
            return None
    if (interaction is not None and len(interaction) > _LONGEST_ID) or fields.consent is False:
        return None
    try:
        moment = timestamps.parse(timestamp)
    except ValueError:
        return None
    if not timestamps.EARLIEST <= moment <= latest:
        return None
    source = _SOURCE if fields.source is None else fields.source
    response, language = fields.response, fields.language
    return PlainRow(
        interaction, conversation, user, moment, version, messages, response, signals, source, language, attributes
    )


def _messages(fields: _Fields) -> list[list[str]] | None:
    """Messages among which a user says something; the last one may be the answer only if there is another answer."""
    asked, messages = False, []
    for message in fields.messages:
        role, content = message.role, message.content
        if role == "user" and content and not content.isspace():
            asked = True
        messages.append([role, content])
    return messages if asked and not (fields.response is None and messages[-1][0] == "assistant") else None


def _signals(signals: PlainSignals) -> PlainSignals | None:
    """Signals with numbers that can be true; blank texts say nothing."""
    if signals.correction is not None and not signals.correction.strip():
        signals.correction = None
    if signals.comment is not None and not signals.comment.strip():
        signals.comment = None
    latency_ms, tokens = signals.latency_ms, signals.tokens
    if (latency_ms is None or 0 <= latency_ms < _EXACT) and (tokens is None or 0 <= tokens < _EXACT):
        return signals
    return None


def record(row: PlainRow) -> FeedbackRecord:
    """Make the record of a row, as validation would."""
    signals = msgspec.structs.asdict(row.signals) | _OTHER_SIGNALS
    fields = msgspec.structs.asdict(row) | {
        "schema_": SCHEMA,
        "turn": None,
        "timestamp": row.moment,
        "messages": tuple(_filled(Message, {"role": role, "content": content}) for role, content in row.messages),
        "signals": _filled(Signals, {name: signals[name] for name in Signals.model_fields}),
        "consent": True,
        "attributes": dict(row.attributes),
    }
    return _filled(FeedbackRecord, {name: fields[name] for name in FeedbackRecord.model_fields})


def _filled(model: type[Model], fields: dict[str, Any]) -> Model:
    """Fill a model with checked fields, all of them: `model_construct` without its look at every field."""
    made = model.__new__(model)
    object.__setattr__(made, "__dict__", fields)
    object.__setattr__(made, "__pydantic_fields_set__", set(fields))
    object.__setattr__(made, "__pydantic_extra__", None)
    object.__setattr__(made, "__pydantic_private__", None)
    return made

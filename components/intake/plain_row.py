"""The short way for the usual row: our own shape, written as the contract says. What is unusual takes the long way.

Most rows of most logs are `flywheel.feedback/v1` to the letter. For those, msgspec checks the types of all fields while
it reads the line, and the few rules that no type tells are looked at here: together a tenth of the time that mapping
aliases and validating models takes. A test compares both ways on any row.
"""

from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import orjson
from pydantic import BaseModel

from flywheel.components.contracts.feedback import SCHEMA, FeedbackRecord, Message, Signals
from flywheel.components.intake import timestamps
from flywheel.components.intake.json_text import MAX_DEPTH

Model = TypeVar("Model", bound=BaseModel)
Attributes = dict[str, Any]

_Name = Annotated[str, msgspec.Meta(min_length=1)]
_Role = Literal["system", "user", "assistant", "tool", "developer"]
_SOURCE: str = FeedbackRecord.model_fields["source"].default
_EXACT = 2**53  # integers below it are floats too
_ABSENT = msgspec.Raw()


class PlainSignals(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What a plain row says about the answer; what is None was not said."""

    rating: Literal[-1, 0, 1] | None = None
    correction: str | None = None
    comment: str | None = None
    latency_ms: Annotated[float, msgspec.Meta(ge=0, lt=_EXACT)] | None = None
    tokens: Annotated[int, msgspec.Meta(ge=0, lt=_EXACT)] | None = None


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
    interaction: Annotated[str, msgspec.Meta(min_length=1, max_length=512)] | None = None
    conversation: _Name | None = None
    user: _Name | None = None
    model_version: _Name | None = None
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
    if len(text) > MAX_DEPTH and text.count(b"[") + text.count(b"{") >= MAX_DEPTH:
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
    except (msgspec.ValidationError, UnicodeEncodeError, RecursionError):  # lone surrogates where it has to name one
        return None
    return _checked(fields, value.get("timestamp"), value.get("attributes"), latest)


def _checked(fields: _Fields, timestamp: object, attributes: object, latest: datetime) -> PlainRow | None:
    """Look at what no type tells: no blank names, a user who says something, a moment that can be true."""
    messages, asked, role = [], False, ""
    for message in fields.messages:
        role, content = message.role, message.content
        if role == "user" and content and not content.isspace():
            asked = True
        messages.append([role, content])
    response, interaction, conversation = fields.response, fields.interaction, fields.conversation
    user, version = fields.user, fields.model_version
    if not asked or (response is None and role == "assistant") or fields.consent is False:
        return None
    for name in (interaction, conversation, user, version):
        if name is not None and name.isspace():
            return None
    if attributes is None:
        attributes = {}
    elif type(attributes) is not dict or "consent" in attributes:
        return None
    try:
        moment = timestamps.parse(timestamp)
    except ValueError:
        return None
    if not timestamps.EARLIEST <= moment <= latest:
        return None
    source = _SOURCE if fields.source is None else fields.source
    signals = _NO_SIGNALS if fields.signals is None else fields.signals
    if signals.correction is not None and not signals.correction.strip():  # blank texts say nothing
        signals.correction = None
    if signals.comment is not None and not signals.comment.strip():
        signals.comment = None
    language = fields.language
    return PlainRow(
        interaction, conversation, user, moment, version, messages, response, signals, source, language, attributes
    )


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

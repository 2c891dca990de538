"""The short way for the usual row: our own shape, written as the contract says. What is unusual takes the long way.

Most rows of most logs are `flywheel.feedback/v1` to the letter. For those, looking at each field here takes a tenth of
the time that mapping aliases and validating models takes; a test compares both ways on any row.
"""

from datetime import datetime
from typing import Any, NamedTuple, TypeVar, get_args

from pydantic import BaseModel

from flywheel.components.contracts.feedback import SCHEMA, FeedbackRecord, Message, Signals
from flywheel.components.intake import timestamps

Model = TypeVar("Model", bound=BaseModel)

_NAMES = ("interaction", "conversation", "user", "timestamp", "model_version", "language", "source")
_FIELDS = frozenset((*_NAMES, "schema", "messages", "response", "signals", "consent", "attributes"))
_ROLES = frozenset(get_args(Message.model_fields["role"].annotation))
_SOURCE = FeedbackRecord.model_fields["source"].default
_EXACT = 2**53  # integers below it are floats too
_LONGEST_ID = 512
_new = tuple.__new__  # half the time of calling a NamedTuple


class PlainSignals(NamedTuple):
    """What a plain row says about the answer; what is None was not said."""

    rating: int | None = None
    correction: str | None = None
    comment: str | None = None
    latency_ms: float | None = None
    tokens: int | None = None


class PlainRow(NamedTuple):
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
    attributes: dict[str, Any]


_NO_SIGNALS = PlainSignals()
_SIGNALS = frozenset(PlainSignals._fields)
_OTHER_SIGNALS = {name: item for name, item in dict(Signals()).items() if name not in _SIGNALS}


def read(value: dict[str, Any], latest: datetime) -> PlainRow | None:  # noqa: PLR0911 - each field has its say
    """Check a row of our own shape.

    Args:
        value: The row's fields.
        latest: Later timestamps cannot be true (`timestamps.latest`).

    Returns:
        Its fields, for which the long way gives the same, or None: then it takes the long way to say.
    """
    get = value.get
    if get("schema") not in (None, SCHEMA) or not _FIELDS.issuperset(value) or get("consent") not in (None, True):
        return None
    interaction, conversation = get("interaction"), get("conversation")
    user, version = get("user"), get("model_version")
    for text in (interaction, conversation, user, version):
        if text is not None and (type(text) is not str or not text.strip()):
            return None
    response, language, source = get("response"), get("language"), get("source")
    for text in (response, language, source):
        if text is not None and type(text) is not str:
            return None
    if interaction is not None and len(interaction) > _LONGEST_ID:
        return None
    attributes = get("attributes")
    if attributes is None:
        attributes = {}
    elif type(attributes) is not dict or "consent" in attributes:
        return None
    messages, signals = _messages(get("messages")), _signals(get("signals"))
    if messages is None or signals is None or (response is None and messages[-1][0] == "assistant"):
        return None
    try:
        moment = timestamps.parse(get("timestamp"))
    except ValueError:
        return None
    if not timestamps.EARLIEST <= moment <= latest:
        return None
    source = _SOURCE if source is None else source
    fields = (interaction, conversation, user, moment, version, messages, response, signals, source, language)
    return _new(PlainRow, (*fields, attributes))


def record(row: PlainRow) -> FeedbackRecord:
    """Make the record of a row, as validation would."""
    signals = row.signals._asdict() | _OTHER_SIGNALS
    fields = row._asdict() | {
        "schema_": SCHEMA,
        "turn": None,
        "timestamp": row.moment,
        "messages": tuple(_filled(Message, {"role": role, "content": content}) for role, content in row.messages),
        "signals": _filled(Signals, {name: signals[name] for name in Signals.model_fields}),
        "consent": True,
        "attributes": dict(row.attributes),
    }
    return _filled(FeedbackRecord, {name: fields[name] for name in FeedbackRecord.model_fields})


def _messages(given: Any) -> list[list[str]] | None:
    """Messages among which a user says something."""
    if type(given) is not list:
        return None
    asked, messages = False, []
    for message in given:
        if type(message) is not dict or len(message) != 2:
            return None
        role, content = message.get("role"), message.get("content")
        if type(role) is not str or type(content) is not str or role not in _ROLES:
            return None
        if role == "user" and content and not content.isspace():
            asked = True
        messages.append([role, content])
    return messages if asked else None


def _signals(given: Any) -> PlainSignals | None:  # noqa: PLR0911 - each field has its say
    if not given:
        return _NO_SIGNALS if given is None or type(given) is dict else None
    if type(given) is not dict or not _SIGNALS.issuperset(given):
        return None
    get = given.get
    rating, correction, comment = get("rating"), get("correction"), get("comment")
    latency_ms, tokens = get("latency_ms"), get("tokens")
    if rating is not None and not (type(rating) is int and -1 <= rating <= 1):
        return None
    if tokens is not None and not (type(tokens) is int and 0 <= tokens < _EXACT):
        return None
    if latency_ms is not None:
        if not (type(latency_ms) in (int, float) and 0 <= latency_ms < _EXACT):
            return None
        latency_ms = float(latency_ms)
    if correction is not None:
        if type(correction) is not str:
            return None
        correction = correction if correction.strip() else None
    if comment is not None:
        if type(comment) is not str:
            return None
        comment = comment if comment.strip() else None
    return _new(PlainSignals, (rating, correction, comment, latency_ms, tokens))


def _filled(model: type[Model], fields: dict[str, Any]) -> Model:
    """Fill a model with checked fields, all of them: `model_construct` without its look at every field."""
    made = model.__new__(model)
    object.__setattr__(made, "__dict__", fields)
    object.__setattr__(made, "__pydantic_fields_set__", set(fields))
    object.__setattr__(made, "__pydantic_extra__", None)
    object.__setattr__(made, "__pydantic_private__", None)
    return made

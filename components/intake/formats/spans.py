"""Spans and span events of OpenTelemetry, in whatever JSON they were written: OTLP export lines, or one span a line.

OTLP/JSON: opentelemetry-proto `docs/specification` (lowerCamelCase names, ids in hex, 64-bit integers as text). One
span a line: what the SDKs' console exporters and Phoenix write, nested or with flat columns (`attributes.llm...`).
"""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from flywheel.components.intake.formats.free_form import structure

_ENVELOPES = (
    ("resourceSpans", ("scopeSpans", "instrumentationLibrarySpans"), "spans"),
    ("resourceLogs", ("scopeLogs", "instrumentationLibraryLogs"), "logRecords"),
)
_SCALARS = ("stringValue", "boolValue", "doubleValue", "intValue")
_HEX = set("0123456789abcdef")
_JSON_ATTRIBUTES = ("gen_ai.", "llm.", "metadata", "tag.", "annotations.", "evaluations.")


@dataclass(frozen=True)
class Event:
    """An event of a span, or a log record that names its span."""

    name: str
    time: Any
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Span:
    """A span; `attributes` have dotted names, whatever nesting they came in."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    start: Any
    end: Any
    attributes: dict[str, Any]
    events: list[Event] = field(default_factory=list)
    error: str | None = None
    resource: dict[str, Any] = field(default_factory=dict)
    rest: dict[str, Any] = field(default_factory=dict)  # fields of the row that this class does not know


def is_export(value: dict[str, Any]) -> bool:
    """Whether a row is an OTLP export request (traces or logs)."""
    return any(isinstance(_get(value, name), list) for name, _, _ in _ENVELOPES)


def is_span(value: dict[str, Any]) -> bool:
    """Whether a row is one span, or one event of a span."""
    context = value.get("context")
    ids = (context if isinstance(context, dict) else {}) | value
    has_id = any(ids.get(name) for name in ("span_id", "spanId", "context.span_id"))
    return has_id and ("attributes" in value or any(name.startswith("attributes.") for name in value))


def unpacked(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the spans and log records of an OTLP export as rows of their own; another row as it is.

    A row is a JSON object as `span` and `event` read it: ids in hex, attributes with dotted names.
    """
    if not is_export(value):
        yield value
        return
    for name, scopes, items in _ENVELOPES:
        for resource in _objects(_get(value, name)):
            shared = attributes_of(_get(resource, "resource"))
            for scope in (one for key in scopes for one in _objects(_get(resource, key))):
                for item in _objects(_get(scope, items)):
                    row = {_snake(key): part for key, part in item.items()}
                    row["attributes"] = attributes_of(item)
                    row["resource"] = shared
                    for key in ("trace_id", "span_id", "parent_span_id"):
                        if row.get(key):
                            row[key] = hex_id(row[key])
                    if items == "logRecords":
                        row["body"] = _plain(row.get("body"))
                    else:
                        row["events"] = [_event_row(one) for one in _objects(item.get("events"))]
                    yield row


def span(row: dict[str, Any]) -> Span:
    """Read one span.

    Raises:
        ValueError: It has no id.
    """
    row = _with_columns(row)
    context = row.pop("context", None)
    row = (context if isinstance(context, dict) else {}) | row
    span_id = hex_id(_take(row, "span_id", "spanId"))
    if not span_id:
        raise ValueError("span_id: missing")
    status = _take(row, "status") or {}
    code = str(_take(row, "status_code") or (status.get("code", status.get("status_code")) if _object(status) else ""))
    said = _take(row, "status_message") or (
        status.get("message") or status.get("description") if _object(status) else ""
    )
    failed = code.upper().removeprefix("STATUS_CODE_") in ("2", "ERROR")
    resource = _take(row, "resource")
    return Span(
        trace_id=hex_id(_take(row, "trace_id", "traceId")),
        span_id=span_id,
        parent_id=hex_id(_take(row, "parent_id", "parent_span_id", "parentSpanId", "parentId")),
        name=str(_take(row, "name") or ""),
        start=_take(row, "start_time", "start_time_unix_nano", "startTime", "startTimeUnixNano", "timestamp"),
        end=_take(row, "end_time", "end_time_unix_nano", "endTime", "endTimeUnixNano"),
        attributes=attributes_of({"attributes": _take(row, "attributes")}),
        events=[event(one) for one in _objects(_take(row, "events"))],
        error=(str(said) or "error") if failed else None,
        resource=_resource(resource),
        rest={name: item for name, item in row.items() if item not in (None, "", [], {})},
    )


def event(row: dict[str, Any]) -> Event:
    """Read one event of a span, or a log record; a log record's name may stand in `event.name`."""
    row = _with_columns(row)
    attributes = attributes_of({"attributes": row.get("attributes")})
    body = row.get("body")
    if isinstance(body, dict):
        attributes |= {name: item for name, item in flat(body).items() if name not in attributes}
    name = row.get("event_name") or row.get("eventName") or attributes.pop("event.name", None) or row.get("name") or ""
    moment = next(
        (row[key] for key in ("time_unix_nano", "timeUnixNano", "timestamp", "time", "observed_time_unix_nano",
                              "observed_timestamp") if row.get(key) not in (None, "", "0", 0)),
        None,
    )  # fmt: skip
    return Event(str(name), moment, attributes)


def attributes_of(item: Any) -> dict[str, Any]:
    """Return the attributes of an OTLP item or of a plain object, with dotted names; JSON in text is parsed.

    Raises:
        ValueError: They are neither a list of key and value nor an object.
    """
    given = structure(item.get("attributes")) if isinstance(item, dict) else None
    if given is None:
        return {}
    if isinstance(given, list):
        pairs = {str(one["key"]): _plain(one.get("value")) for one in _objects(given) if "key" in one}
    elif isinstance(given, dict):
        pairs = flat(given)
    else:
        raise ValueError("attributes: neither a list of key and value nor an object")
    return {
        name: structure(value) if name.startswith(_JSON_ATTRIBUTES) else value
        for name, value in pairs.items()
        if value is not None
    }


def flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Write nested objects with dotted names; lists stay lists."""
    result: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, dict) and item:
            result |= flat(item, f"{prefix}{name}.")
        else:
            result[f"{prefix}{name}"] = item
    return result


def indexed(attributes: dict[str, Any], prefix: str) -> list[dict[str, Any]]:
    """Take `PREFIX.0.x`, `PREFIX.1.x`, ... (or a list under PREFIX) out of attributes, as a list of objects in order.

    The objects' names are dotted: OpenInference flattens lists, because attributes cannot hold objects.
    """
    given = structure(attributes.pop(prefix, None))
    if isinstance(given, list):
        return [flat(item) if isinstance(item, dict) else {"": item} for item in given]
    found: dict[int, dict[str, Any]] = {}
    start = f"{prefix}."
    for name in [name for name in attributes if name.startswith(start)]:
        number, _, field_name = name.removeprefix(start).partition(".")
        if number.isascii() and number.isdigit() and len(number) < 7:
            found.setdefault(int(number), {})[field_name] = attributes.pop(name)
    return [found[number] for number in sorted(found)]


def _plain(value: Any) -> Any:
    """Return the value of an OTLP AnyValue; bytes are not kept, their encoding would hide what they hold."""
    if not isinstance(value, dict):
        return value
    for name in _SCALARS:
        scalar = _get(value, name)
        if scalar is not None:
            return int(scalar) if name == "intValue" and _whole(scalar) else scalar
    for name in ("arrayValue", "kvlistValue"):
        holder = _get(value, name)
        if isinstance(holder, dict):
            items = holder.get("values")
            items = items if isinstance(items, list) else []
            if name == "arrayValue":
                return [_plain(item) for item in items]
            return {str(one["key"]): _plain(one.get("value")) for one in _objects(items) if "key" in one}
    return "[bytes]" if _get(value, "bytesValue") is not None else None


def _whole(value: Any) -> bool:
    return isinstance(value, str) and len(value) < 24 and value.removeprefix("-").isascii() and (
        value.removeprefix("-").isdigit()
    )  # fmt: skip


def _event_row(one: dict[str, Any]) -> dict[str, Any]:
    return {_snake(key): part for key, part in one.items()} | {"attributes": attributes_of(one)}


def _with_columns(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with `attributes.x` and `context.x` columns (of a table) put together."""
    row = dict(row)
    for holder in ("attributes", "context"):
        names = [name for name in row if name.startswith(f"{holder}.")]
        if names:
            inner = row.get(holder)
            columns = {name.removeprefix(f"{holder}."): row.pop(name) for name in names}
            row[holder] = (inner if isinstance(inner, dict) else {}) | {
                k: v for k, v in columns.items() if v is not None
            }
    return row


def _resource(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {} if value is None else {"resource": value}
    return attributes_of(value) if "attributes" in value else value


def _take(row: dict[str, Any], *names: str) -> Any:
    found = [row.pop(name, None) for name in names]
    return next((item for item in found if item not in (None, "")), None)


def hex_id(value: Any) -> str:
    """Return an id in lower-case hex, as OTLP/JSON has it; base64 (protobuf's own JSON) and 0x are understood."""
    if not isinstance(value, str):
        return "" if value is None or isinstance(value, bool | dict | list) else str(value)
    text = value.strip().lower().removeprefix("0x")
    if set(text) <= _HEX or len(value) not in (12, 24):
        return text if set(text) <= _HEX else value.strip()
    try:
        raw = base64.b64decode(value, validate=True)
    except binascii.Error:
        return value.strip()
    return raw.hex() if len(raw) in (8, 16) else value.strip()


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _get(value: Any, name: str) -> Any:
    return value.get(name, value.get(_snake(name))) if isinstance(value, dict) else None


def _snake(name: str) -> str:
    return "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in name)

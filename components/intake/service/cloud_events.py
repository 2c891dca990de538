"""CloudEvents 1.0 over HTTP (structured, batched and binary mode), as KServe's payload logger sends them.

The logger (kserve/pkg/logger) sends binary mode: the id of request and response is the inference's id, and the content
type of both is that of the request. It logs no response of a failed request.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from urllib.parse import unquote

import orjson

from flywheel.components.intake import timestamps
from flywheel.components.intake.json_text import parse_json

Half = Literal["request", "response"]
TYPES: dict[str, Half] = {
    "org.kubeflow.serving.inference.request": "request",
    "org.kubeflow.serving.inference.response": "response",
}
_CONTEXT = ("specversion", "id", "type", "source", "time", "datacontenttype", "dataschema", "subject")
_DATA = ("data", "data_base64")
_LONGEST_ID = 512


class EventError(ValueError):
    """Not a CloudEvent of an inference; the message says what is wrong and does not repeat what was sent."""


@dataclass(frozen=True)
class InferenceEvent:
    """One half of an inference."""

    identity: str
    half: Half
    moment: datetime | None  # None: the event has no time
    data: Any  # parsed JSON, or the joined text of a stream of server-sent events
    origin: dict[str, Any] = field(default_factory=dict)  # service, namespace, component, ... and further extensions
    metadata: dict[str, str] = field(default_factory=dict)  # headers of the inference that the logger was told to pass


def parse(headers: Mapping[str, str], body: bytes) -> list[dict[str, Any]]:
    """Split a request into CloudEvents in the JSON format, whatever mode they came in.

    Args:
        headers: With lower-case names.
        body: As sent.

    Raises:
        EventError: The request holds no CloudEvents.
    """
    content_type = headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type == "application/cloudevents-batch+json":
        events = _json(body, "the batch")
        if not isinstance(events, list) or not events:
            raise EventError("a batch is a JSON array of at least one event")
        if not all(isinstance(event, dict) for event in events):
            raise EventError("a batch holds something that is not an object")
        return events
    if content_type == "application/cloudevents+json":
        event = _json(body, "the event")
        if not isinstance(event, dict):
            raise EventError("a structured event is a JSON object")
        return [event]
    if content_type.startswith("application/cloudevents"):
        raise EventError("only the JSON format of CloudEvents is understood (application/cloudevents+json)")
    found = {name[3:]: _decoded(value) for name, value in headers.items() if name.startswith("ce-")}
    if not found:
        raise EventError("neither ce-* headers (binary mode) nor content type application/cloudevents+json")
    return [found | {"datacontenttype": content_type, "data_bytes": body}]


def read(event: Mapping[str, Any]) -> InferenceEvent:
    """Read one CloudEvent.

    Raises:
        EventError: An attribute is missing or wrong, the type is not an inference's, or the data cannot be read.
    """
    if str(event.get("specversion")) != "1.0":
        raise EventError("specversion: must be 1.0")
    identity, kind, source = event.get("id"), event.get("type"), event.get("source")
    if not isinstance(identity, str) or not identity.strip() or len(identity) > _LONGEST_ID:
        raise EventError(f"id: missing, or longer than {_LONGEST_ID} characters")
    if not isinstance(source, str) or not source:
        raise EventError("source: missing")
    if not isinstance(kind, str) or kind not in TYPES:
        raise EventError(f"type: must be one of {', '.join(TYPES)}")
    moment = None
    if event.get("time") is not None:
        try:
            moment = timestamps.parse(event["time"])
        except ValueError as error:
            raise EventError(f"time: {str(error).removeprefix('timestamp: ')}") from error
    taken = (*_CONTEXT, *_DATA, "data_bytes", "metadata", "annotations")
    origin = {name: value for name, value in event.items() if name not in taken and value not in (None, "")}
    annotations = _extension(event.get("annotations"))
    if annotations:
        origin["annotations"] = annotations
    return InferenceEvent(
        identity, TYPES[kind], moment, _data(event), origin | {"source": source}, _metadata(event.get("metadata"))
    )


def _json(body: bytes, what: str) -> Any:
    try:
        body.decode()
        return parse_json(body)
    except UnicodeDecodeError as error:
        raise EventError(f"{what} is not UTF-8 at byte {error.start}") from error
    except ValueError as error:
        raise EventError(f"{what} is {str(error) if str(error).startswith('n') else f'bad: {error}'}") from error


def _decoded(value: str) -> str:
    """Undo the percent-encoding of header values (CloudEvents HTTP binding 3.1.3.2)."""
    return unquote(value, errors="replace") if "%" in value else value


def _data(event: Mapping[str, Any]) -> Any:
    if "data_bytes" in event:
        return _bytes(event["data_bytes"])
    if isinstance(event.get("data_base64"), str):
        try:
            return _bytes(base64.b64decode(event["data_base64"], validate=True))
        except binascii.Error as error:
            raise EventError("data_base64: not base64") from error
    data = event.get("data")
    if data is None:
        raise EventError("data: missing")
    return _bytes(data.encode("utf-8", "surrogatepass")) if isinstance(data, str) else data


def _bytes(data: bytes) -> Any:
    if not data.strip():
        raise EventError("data: empty")
    return _streamed(data) if data.lstrip().startswith(b"data:") else _json(data, "the data")


def _streamed(data: bytes) -> Any:
    """Join the chunks of a streamed answer (server-sent events) into the answer they would have been."""
    pieces: list[str] = []
    last: dict[str, Any] = {}
    for line in data.splitlines():
        text = line.removeprefix(b"data:").strip()
        if not line.startswith(b"data:") or text in (b"", b"[DONE]"):
            continue
        chunk = _json(text, "a streamed chunk")
        choices = chunk.get("choices") if isinstance(chunk, dict) else None
        if not isinstance(choices, list):
            raise EventError("data: a stream without choices")
        last |= {name: value for name, value in chunk.items() if value is not None}
        for choice in choices:
            if not isinstance(choice, dict) or choice.get("index", 0) != 0:
                continue
            delta = choice.get("delta", choice.get("message"))
            said = delta.get("content") if isinstance(delta, dict) else choice.get("text")
            pieces += [said] if isinstance(said, str) else []
    return last | {"choices": [{"index": 0, "message": {"role": "assistant", "content": "".join(pieces)}}]}


def _extension(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def _metadata(value: Any) -> dict[str, str]:
    """Read `metadata`: a JSON object of header -> list of values; names in lower case, the first value counts."""
    found = _extension(value)
    if not isinstance(found, dict):
        return {}
    flat = {str(name).lower(): item[0] if isinstance(item, list) and item else item for name, item in found.items()}
    return {name: item for name, item in flat.items() if isinstance(item, str) and item}

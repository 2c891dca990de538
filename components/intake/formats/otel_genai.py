"""OpenTelemetry GenAI: spans and events with `gen_ai.*` attributes, as OTLP/JSON export lines or one span a line.

Semantic conventions: open-telemetry/semantic-conventions-genai, `docs/gen-ai/gen-ai-spans.md`, `gen-ai-events.md`,
`gen-ai-input-messages.json`, `gen-ai-output-messages.json`. Older ones are read as well: `gen_ai.*.message` and
`gen_ai.choice` events, `gen_ai.content.prompt`/`completion` events, and OpenLLMetry's `gen_ai.prompt.0.content`.

A span with messages is an interaction whose id is the span's; `gen_ai.evaluation.result` events become feedback on
their span, or, when they name none, on the interaction that has their `gen_ai.response.id` as its id.
"""

from collections.abc import Iterator
from typing import Any

from flywheel.components.intake.formats import named_score, spans
from flywheel.components.intake.formats.fields import NotAnInteraction, first, kept, milliseconds, text, whole
from flywheel.components.intake.formats.flat_record import plain_messages
from flywheel.components.intake.formats.free_form import structure, with_role
from flywheel.components.intake.json_text import text_of
from flywheel.components.intake.ratings import RatingRule

_EVALUATION = "gen_ai.evaluation.result"
_DETAILS = "gen_ai.client.inference.operation.details"
_MESSAGE_EVENTS = {f"gen_ai.{role}.message": role for role in ("system", "user", "assistant", "tool")}
_CHOICE = "gen_ai.choice"
_CAPTURE = "switch on the capture of message content in the instrumentation"
_TALK = ("gen_ai.conversation.id", "session.id", "conversation.id", "thread.id")
_PERSON = ("user.id", "enduser.id", "gen_ai.user.id")
_TOKENS = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
_KIND = ("gen_ai.evaluation.annotator_kind", "gen_ai.evaluation.source", "annotator_kind")


def detect(row: dict[str, Any]) -> bool:
    """Whether a row is an OTLP export, or a span or log record (with gen_ai attributes or not)."""
    return spans.is_export(row) or spans.is_span(row) or _is_evaluation(row)


def units(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the spans and log records of an export; a span's evaluation events are rows of their own."""
    for one in spans.unpacked(row):
        events = one.get("events")
        inside = [item for item in events if isinstance(item, dict)] if isinstance(events, list) else []
        judged = [item for item in inside if _name(item) == _EVALUATION]
        yield one | {"events": [item for item in inside if item not in judged]} if judged else one
        for item in judged:
            yield _ids(one) | {"name": _EVALUATION} | item


def read(row: dict[str, Any], rule: RatingRule) -> dict[str, Any]:
    """Map a span or an event to the fields of FeedbackRecord.

    Raises:
        NotAnInteraction: A span or event that holds no question and answer.
        ValueError: A part cannot be read; the message names it.
    """
    if _is_evaluation(row):
        return _evaluation(row, rule)
    if "start_time" not in row and ("body" in row or "event_name" in row or "eventName" in row):
        return _details(row)
    span = spans.span(row)
    attributes = dict(span.attributes)
    messages, output, extra = _messages(attributes, span.events)
    if not messages:
        raise NotAnInteraction(f"span {span.name or span.span_id}: no input messages; {_CAPTURE}, or leave it out")
    return _fields(span, attributes, messages, output, extra)


def _fields(
    span: spans.Span, attributes: dict[str, Any], messages: list[Any], output: list[Any], extra: dict[str, Any]
) -> dict[str, Any]:
    asked, asked_extra = plain_messages(messages)
    said, said_extra = plain_messages(output)
    found: dict[str, Any] = {}
    latency = milliseconds(span.start, span.end)
    tokens = whole(first(attributes, *_TOKENS))
    failed = attributes.pop("error.type", None)
    error = span.error if span.error not in (None, "error") or failed is None else text_of(failed)
    for name, value in (("latency_ms", latency), ("tokens", tokens), ("error", error)):
        if value is not None:
            found[name] = value
    response_model = first(attributes, "gen_ai.response.model")
    model = text(response_model) or text(first(attributes, "gen_ai.request.model"))
    person = text(first(attributes, *_PERSON))
    for name in _PERSON:
        attributes.pop(name, None)  # the person is in `subject`, as a pseudonym
    more = {
        "span": kept({"trace_id": span.trace_id, "parent_id": span.parent_id, "name": span.name}),
        "message_fields": asked_extra,
        "answer_fields": said_extra[:1] if said_extra and said_extra[0]["index"] == 0 else [],
        "other_choices": [message["content"] for message in said[1:]],
        "resource": span.resource,
        "events": [{"name": one.name, "attributes": one.attributes} for one in extra.pop("events", [])],
    }
    return kept(
        {
            "interaction": span.span_id,
            "conversation": text(first(attributes, *_TALK)) or span.trace_id or None,
            "user": person,
            "timestamp": span.start if span.start is not None else span.end,
            "model_version": model,
            "messages": asked,
            "response": said[0]["content"] if said else None,
            "signals": found,
            "source": text(span.resource.get("service.name")) or "otel",
            "attributes": kept(attributes | extra | span.rest | more),
        }
    )


def _messages(
    attributes: dict[str, Any], events: list[spans.Event]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, Any]]:
    """Take the messages out of attributes and events; what they hold beyond is returned for the attributes."""
    holders = [attributes, *(dict(one.attributes) for one in events if one.name == _DETAILS)]
    for holder in holders:
        asked = _listed(first(holder, "gen_ai.input.messages"))
        said = _listed(first(holder, "gen_ai.output.messages"))
        system = _listed(first(holder, "gen_ai.system_instructions"))
        if asked:
            before = [{"role": "system", "parts": system}] if system else []
            rest = (
                {} if holder is attributes else {name: item for name, item in holder.items() if name not in attributes}
            )
            return [_message(one) for one in (*before, *asked)], [_message(one) for one in said], rest
    asked, said = _numbered(attributes, "gen_ai.prompt"), _numbered(attributes, "gen_ai.completion")
    rest_events = []
    for one in events:
        content = dict(one.attributes)
        if one.name == "gen_ai.content.prompt" and not asked:
            asked = _numbered(content, "gen_ai.prompt")
        elif one.name == "gen_ai.content.completion" and not said:
            said = _numbered(content, "gen_ai.completion")
        elif one.name in _MESSAGE_EVENTS:
            asked.append({"role": _MESSAGE_EVENTS[one.name]} | _nested(content))
        elif one.name == _CHOICE:
            said.append({"role": "assistant"} | _nested(content))
        elif one.name != _DETAILS:
            rest_events.append(one)
    return [_message(one) for one in asked], [_message(one) for one in said], {"events": rest_events}


def _numbered(attributes: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Read `NAME.0.role`, `NAME.0.content`, ..., or a list of messages or a text under NAME."""
    given = structure(attributes.get(name))
    if isinstance(given, str) and given.strip():
        attributes.pop(name)
        return [{"role": "user" if name == "gen_ai.prompt" else "assistant", "content": given}]
    if isinstance(given, dict):
        attributes[name] = [given]
    role = {} if name == "gen_ai.prompt" else {"role": "assistant"}
    return [role | _nested(one) for one in spans.indexed(attributes, name)]


def _nested(content: dict[str, Any]) -> dict[str, Any]:
    """Return a message whose fields may stand under `message.`, as in `gen_ai.choice`."""
    plain = {name.removeprefix("message."): structure(item) for name, item in content.items()}
    inner = plain.pop("message", None)
    return plain | inner if isinstance(inner, dict) else plain | ({"content": inner} if isinstance(inner, str) else {})


def _listed(value: Any) -> list[Any]:
    value = structure(value)
    if isinstance(value, str):
        return [{"role": "user", "content": value}] if value.strip() else []
    return value if isinstance(value, list) else [value] if isinstance(value, dict) else []


def _message(message: Any) -> dict[str, Any]:
    """Return a message in the OpenAI shape; of `parts` the text counts, the others are kept beside it."""
    if not isinstance(message, dict):
        raise ValueError("gen_ai messages: one is not an object with role and parts")
    message = with_role(message)
    if not isinstance(message.get("parts"), list):
        return message if isinstance(message.get("content"), str | list | None) else message | {
            "content": text_of(message["content"])
        }  # fmt: skip
    pieces, others = [], []
    for part in message["parts"]:
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(part, str):
            pieces.append(part)
        elif kind == "text" and isinstance(part.get("content"), str):
            pieces.append(part["content"])
        elif kind == "tool_call_response":
            pieces.append(text_of(first(dict(part), "response", "result")))
        elif kind in ("blob", "uri", "file"):
            pieces.append(f"[{str(part.get('modality') or kind)[:32]}]")
            others.append({name: item for name, item in part.items() if kind != "blob" or name != "content"})
        elif isinstance(part, dict):
            others.append(part)  # reasoning and tool calls are no text that anybody was shown
    rest = {name: item for name, item in message.items() if name not in ("parts", "content")}
    return rest | {"content": "\n".join(pieces)} | ({"parts": others} if others else {})


def _details(row: dict[str, Any]) -> dict[str, Any]:
    """Read a log record: the inference's details are an interaction, another event is not."""
    one = spans.event(row)
    if one.name != _DETAILS:
        raise NotAnInteraction(f"event {one.name or 'without a name'}: holds no whole question and answer")
    attributes = dict(one.attributes)
    messages, output, extra = _messages(attributes, [])
    if not messages:
        raise NotAnInteraction(f"event {one.name}: no input messages; {_CAPTURE}")
    ids = _ids(row)
    response_id = text(attributes.get("gen_ai.response.id"))
    span = spans.Span(ids.get("trace_id", ""), ids.get("span_id") or response_id or "", "", "", one.time, None, {})
    fields = _fields(span, attributes, messages, output, extra)
    return fields if fields.get("interaction") else {name: item for name, item in fields.items() if item != ""}


def _evaluation(row: dict[str, Any], rule: RatingRule) -> dict[str, Any]:
    one = spans.event(row)
    attributes = dict(one.attributes)
    name = first(attributes, "gen_ai.evaluation.name")
    who = named_score.annotator(first(attributes, *_KIND), str(name), rule)
    said = named_score.signals(
        name,
        first(attributes, "gen_ai.evaluation.score.value"),
        first(attributes, "gen_ai.evaluation.score.label"),
        first(attributes, "gen_ai.evaluation.explanation"),
        who,
        rule,
    )
    ids = _ids(row)
    about = ids.get("span_id") or text(attributes.get("gen_ai.response.id"))
    if not about:
        raise ValueError("evaluation: neither a span id nor gen_ai.response.id; it cannot be joined")
    known = ("attributes", "context", "name", "event_name", "eventName", "events", "body", "timestamp", "time")
    rest = {
        key: item
        for key, item in row.items()
        if key not in (*known, *ids) and not key.startswith(("attributes.", "context.")) and "time" not in key.lower()
    }
    return kept(
        {
            "interaction": about,
            "conversation": text(first(attributes, *_TALK)) or ids.get("trace_id"),
            "user": text(first(attributes, *_PERSON)),
            "timestamp": one.time,
            "signals": said,
            "source": "otel",
            "annotator": who,
            "attributes": kept(attributes | rest | {"trace_id": ids.get("trace_id")}),
        }
    )


def _ids(row: dict[str, Any]) -> dict[str, str]:
    context = row.get("context")
    there = (context if isinstance(context, dict) else {}) | row
    found = {}
    for name, camel in (("trace_id", "traceId"), ("span_id", "spanId")):
        given = there.get(name) or there.get(camel) or there.get(f"context.{name}")
        if given:
            found[name] = spans.hex_id(given)
    return found


def _name(item: dict[str, Any]) -> str:
    attributes = item.get("attributes")
    named = attributes.get("event.name") if isinstance(attributes, dict) else None
    return str(item.get("event_name") or item.get("eventName") or named or item.get("name") or "")


def _is_evaluation(row: dict[str, Any]) -> bool:
    return _name(row) == _EVALUATION and "attributes" in row

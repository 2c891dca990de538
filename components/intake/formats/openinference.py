"""OpenInference: LLM spans, the root spans above them, and annotations, as Phoenix and OTLP exporters write them.

Arize-ai/openinference: `spec/semantic_conventions.md` (attributes, flattened lists), `spec/annotations.md` (annotations
and evaluations on a span, annotator kinds). Annotations may also be rows of their own, as Phoenix exports them
(`/v1/.../span_annotations`: `span_id`, `name`, `annotator_kind`, `result`), in the same file or another, in any order.

An LLM span with messages is an interaction whose id is the span's. So is a root span (no parent) whose `input.value`
and `output.value` can be read as question and answer: end users' feedback usually names that one.
"""

from collections.abc import Iterator
from typing import Any

from flywheel.components.intake.formats import free_form, named_score, spans
from flywheel.components.intake.formats.fields import NotAnInteraction, first, kept, milliseconds, text, whole
from flywheel.components.intake.formats.flat_record import plain_messages
from flywheel.components.intake.json_text import text_of
from flywheel.components.intake.ratings import RatingRule

_KIND = "openinference.span.kind"
_JUDGED = (("annotations", "annotation."), ("evaluations", "evaluation."))
_TALK = ("session.id",)
_MODEL = ("llm.model_name", "llm.response.model", "embedding.model_name")
_RESULT = ("score", "label", "explanation")


def detect(row: dict[str, Any]) -> bool:
    """Whether a row is a span with OpenInference's attributes, or an annotation."""
    return _is_annotation(row) or (spans.is_span(row) and _kind(row) != "")


def units(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the spans of an export; the annotations on a span are rows of their own."""
    for one in spans.unpacked(row):
        if not spans.is_span(one):
            yield one
            continue
        span = spans.span(one)
        attributes = dict(span.attributes)
        judged = [
            {name.removeprefix(inner): item for name, item in found.items()}
            for prefix, inner in _JUDGED
            for found in spans.indexed(attributes, prefix)
        ]
        if not judged:
            yield one
            continue
        yield {name: item for name, item in one.items() if not name.startswith("attributes.")} | {
            "attributes": attributes
        }
        for annotation in judged:
            yield {"span_id": span.span_id, "created_at": span.end if span.end is not None else span.start} | annotation


def read(row: dict[str, Any], rule: RatingRule) -> dict[str, Any]:
    """Map a span or an annotation to the fields of FeedbackRecord.

    Raises:
        NotAnInteraction: A span of another kind, or without messages.
        ValueError: A part cannot be read; the message names it.
    """
    if _is_annotation(row):
        return _annotation(row, rule)
    span = spans.span(row)
    attributes = dict(span.attributes)
    kind = str(attributes.pop(_KIND, None) or span.rest.get("span_kind") or "").upper()
    messages, response, more = _turns(attributes, span)
    if not messages:
        raise NotAnInteraction(
            f"span {span.name or span.span_id} of kind {kind or 'unknown'}: no question to the model"
        )
    if kind != "LLM" and span.parent_id:
        raise NotAnInteraction(f"span {span.name or span.span_id} of kind {kind or 'unknown'}: a step inside a trace")
    found = kept(
        {
            "latency_ms": milliseconds(span.start, span.end),
            "tokens": whole(first(attributes, "llm.token_count.completion")),
            "error": span.error,
        }
    )
    person = text(attributes.pop("user.id", None))
    return kept(
        {
            "interaction": span.span_id,
            "conversation": text(first(attributes, *_TALK)) or span.trace_id or None,
            "user": person,
            "timestamp": span.start if span.start is not None else span.end,
            "model_version": text(first(attributes, *_MODEL)),
            "messages": messages,
            "response": response,
            "signals": found,
            "source": text(span.resource.get("service.name")) or "openinference",
            "attributes": kept(
                attributes
                | {name: item for name, item in span.rest.items() if name != "span_kind"}
                | more
                | {
                    "span": kept(
                        {"trace_id": span.trace_id, "parent_id": span.parent_id, "name": span.name, "kind": kind}
                    ),
                    "resource": span.resource,
                    "events": [{"name": one.name, "attributes": one.attributes} for one in span.events],
                }
            ),
        }
    )


def _turns(attributes: dict[str, Any], span: spans.Span) -> tuple[list[dict[str, str]], str | None, dict[str, Any]]:
    """Take question and answer out of the attributes: messages first, the span's input and output otherwise."""
    asked = [_message(one, "user") for one in spans.indexed(attributes, "llm.input_messages")]
    said = [_message(one, "assistant") for one in spans.indexed(attributes, "llm.output_messages")]
    given, output = attributes.get("input.value"), attributes.get("output.value")
    if asked:
        messages, extra = plain_messages(asked)
        attributes.pop("input.value", None)  # the same again, as the provider's JSON
    else:
        messages, extra = free_form.question(given)
        if messages:
            attributes.pop("input.value", None)
    response = None
    answer_extra: list[dict[str, Any]] = []
    if said:
        plain, answer_extra = plain_messages(said)
        response = plain[0]["content"]
        attributes.pop("output.value", None)
    elif output is not None:
        response = free_form.answer(output)
        if response is not None:
            attributes.pop("output.value", None)
    return messages, response, {"message_fields": extra, "answer_fields": answer_extra}


def _message(one: dict[str, Any], role: str) -> dict[str, Any]:
    """Return a message in the OpenAI shape from `message.role`, `message.content` or `message.contents.N....`."""
    fields = {name.removeprefix("message."): item for name, item in one.items()}
    parts = [
        {name.removeprefix("message_content."): item for name, item in part.items()}
        for part in spans.indexed(fields, "contents")
    ]
    content = fields.pop("content", None)
    if parts:
        content = [part if isinstance(part.get("text"), str) else {"type": part.get("type", "part")} for part in parts]
    elif content is not None and not isinstance(content, str | list):
        content = text_of(content)
    calls = spans.indexed(fields, "tool_calls")
    given = fields.pop("role", None)
    return free_form.with_role(
        {"role": given if isinstance(given, str) else role, "content": content}
        | fields
        | ({"tool_calls": calls} if calls else {})
    )


def _annotation(row: dict[str, Any], rule: RatingRule) -> dict[str, Any]:
    row = dict(row)
    about = spans.hex_id(first(row, "span_id", "spanId", "context.span_id"))
    name = first(row, "name", "annotation_name", "annotationName")
    kind = first(row, "annotator_kind", "annotatorKind")
    result = row.pop("result", None)
    result = dict(result) if isinstance(result, dict) else {}
    for key in _RESULT:
        given = [row.pop(column, None) for column in (key, f"result.{key}", f"annotation.{key}")]
        result.setdefault(key, next((item for item in given if item is not None), None))
    who = named_score.annotator(kind, str(name), rule)
    said = named_score.signals(name, *(result.pop(key) for key in _RESULT), who, rule)
    row["metadata"] = free_form.structure(row.get("metadata"))
    moment = first(row, "updated_at", "created_at", "timestamp", "start_time")
    row.pop("user_id", None)  # the annotator's account, not the one who asked
    return kept(
        {
            "interaction": about,
            "timestamp": moment,
            "signals": said,
            "source": "openinference",
            "annotator": who,
            "attributes": kept(row | result),
        }
    )


def _is_annotation(row: dict[str, Any]) -> bool:
    if "attributes" in row or not any(name in row for name in ("span_id", "spanId", "context.span_id")):
        return False
    judged = any(name in row for name in ("annotator_kind", "annotatorKind"))
    result = row.get("result")
    return judged or (isinstance(result, dict) and any(key in result for key in _RESULT)) or any(
        f"result.{key}" in row for key in _RESULT
    )  # fmt: skip


def _kind(row: dict[str, Any]) -> str:
    attributes = row.get("attributes")
    if isinstance(attributes, list):
        return "there" if any(isinstance(one, dict) and one.get("key") == _KIND for one in attributes) else ""
    nested = attributes if isinstance(attributes, dict) else {}
    there = (
        _KIND in nested
        or isinstance(nested.get("openinference"), dict)
        or isinstance(nested.get("llm"), dict)
        or any(name.startswith(("llm.", "annotations.", "evaluations.")) for name in nested)
        or any(name.startswith(("attributes.openinference", "attributes.llm")) for name in row)
    )
    return "there" if there else ""

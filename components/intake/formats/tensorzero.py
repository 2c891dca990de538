"""TensorZero: rows of ChatInference and JsonInference, and of its four feedback tables.

tensorzero.com/docs/gateway/data-model: `ChatInference`, `JsonInference` (id, function_name, variant_name, episode_id,
input, output, tags, processing_time_ms), `BooleanMetricFeedback`, `FloatMetricFeedback`, `CommentFeedback` (target_id,
value) and `DemonstrationFeedback` (inference_id, value: what the output should have been, so a correction).

Ids are UUIDv7; a row without `timestamp` (a materialized column) has its time in its id (RFC 9562, section 5.7).
Feedback on an episode keeps the episode's id as what it is about: it says nothing about one answer.
"""

import re
from typing import Any

from flywheel.components.contracts.feedback import Annotator
from flywheel.components.intake.formats import free_form, named_score
from flywheel.components.intake.formats.fields import first, kept, text
from flywheel.components.intake.formats.flat_record import plain_messages
from flywheel.components.intake.json_text import text_of
from flywheel.components.intake.ratings import RatingRule

_UUID7 = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)
_PERSON = ("user_id", "user", "tensorzero::user_id")
_TALK = ("conversation_id", "session_id", "thread_id")


def detect(row: dict[str, Any]) -> bool:
    """Whether a row is an inference or feedback of TensorZero."""
    if "function_name" in row and ("variant_name" in row or "episode_id" in row) and "input" in row:
        return True
    return "value" in row and ("target_id" in row or "inference_id" in row)


def read(row: dict[str, Any], rule: RatingRule) -> dict[str, Any]:
    """Map a row of one of the six tables to the fields of FeedbackRecord.

    Raises:
        ValueError: A part cannot be read; the message names it.
    """
    # JSON in text is parsed, because its escapes would hide personal data; a feedback's value may be meant as it is.
    rest = {name: item if name == "value" else free_form.structure(item) for name, item in row.items()}
    rest.setdefault("tags", {})
    return _inference(rest) if "function_name" in rest else _feedback(rest, rule)


def _inference(rest: dict[str, Any]) -> dict[str, Any]:
    identity = text(first(rest, "id", "inference_id"))
    given = rest.pop("input", None)
    if not isinstance(given, dict) or not isinstance(given.get("messages"), list):
        raise ValueError("input: not an object with messages")
    asked = [_message(one) for one in given["messages"]]
    if given.get("system"):
        asked.insert(0, {"role": "system", "content": _system(given["system"])})
    messages, extra = plain_messages(asked)
    response, blocks = _output(rest.pop("output", None))
    tags = rest["tags"] if isinstance(rest["tags"], dict) else {}
    moment = first(rest, "timestamp")
    latency = rest.pop("processing_time_ms", None)
    return kept(
        {
            "interaction": identity,
            "conversation": text(first(tags, *_TALK)) or text(rest.get("episode_id")),
            "user": text(first(tags, *_PERSON)),
            "timestamp": moment if moment is not None else _time_in(identity),
            "model_version": text(rest.get("variant_name")),
            "messages": messages,
            "response": response,
            "signals": kept({"latency_ms": latency}),
            "source": text(rest.get("function_name")) or "tensorzero",
            "attributes": kept(rest | {"tags": tags, "message_fields": extra, "answer_blocks": blocks}),
        }
    )


def _feedback(rest: dict[str, Any], rule: RatingRule) -> dict[str, Any]:
    identity = text(first(rest, "id", "feedback_id"))
    demonstration = "target_id" not in rest
    about = text(first(rest, "inference_id") if demonstration else first(rest, "target_id"))
    value = rest.pop("value", None)
    if value is None:
        raise ValueError("value: missing")
    metric = text(first(rest, "metric_name"))
    tags = rest["tags"] if isinstance(rest["tags"], dict) else {}
    who = _annotator(tags, metric, rule)
    if demonstration or metric == "demonstration":
        corrected = _output(value)[0]
        if not corrected or not corrected.strip():
            raise ValueError("value: a demonstration without text")
        signals: dict[str, Any] = {"correction": corrected}
    elif metric in (None, "comment"):
        if not isinstance(value, str) or not value.strip():
            raise ValueError("value: a comment that is no text")
        signals = {"comment": value}
    else:
        signals = named_score.signals(metric, _boolean(value), None, None, who, rule)
    person = text(first(tags, *_PERSON))
    moment = first(rest, "timestamp")
    return kept(
        {
            "interaction": about,
            "user": person,
            "timestamp": moment if moment is not None else _time_in(identity),
            "signals": signals,
            "source": "tensorzero",
            "annotator": who,
            "attributes": kept(rest | {"tags": tags, "feedback_id": identity}),
        }
    )


def _annotator(tags: dict[str, Any], metric: str | None, rule: RatingRule) -> Annotator:
    """Tell who gave feedback: the UI tags a human's, evaluations tag theirs; other words are a user's."""
    if str(tags.get("tensorzero::human_feedback", "")).lower() == "true":
        return Annotator.HUMAN
    if any(name.startswith("tensorzero::evaluat") for name in tags):
        return Annotator.LLM
    if metric in (None, "comment", "demonstration"):
        return Annotator.USER
    return named_score.annotator(None, metric, rule)


def _boolean(value: Any) -> Any:
    return {"true": True, "false": False}.get(value.strip().lower(), value) if isinstance(value, str) else value


def _system(value: Any) -> str:
    return value if isinstance(value, str) else text_of(value)


def _message(message: Any) -> dict[str, Any]:
    if not isinstance(message, dict):
        raise ValueError("input.messages: one is not an object with role and content")
    content = message.get("content")
    if isinstance(content, list):
        text_part, others = _blocks(content)
        rest = {name: item for name, item in message.items() if name != "content"}
        return rest | {"content": text_part} | ({"blocks": others} if others else {})
    return message if isinstance(content, str | None) else message | {"content": text_of(content)}


def _blocks(blocks: list[Any]) -> tuple[str, list[Any]]:
    """Split content blocks into their text and what is no text (tool calls, thoughts, files)."""
    pieces, others = [], []
    for block in blocks:
        kind = block.get("type") if isinstance(block, dict) else None
        if kind in ("text", "raw_text", "template"):
            said = next((block[name] for name in ("text", "value", "arguments") if name in block), "")
            pieces.append(text_of(said))
        elif kind == "tool_result":
            pieces.append(text_of(block.get("result", "")))
        elif isinstance(block, str):
            pieces.append(block)
        elif isinstance(block, dict):
            others.append({name: item for name, item in block.items() if name != "data"})
    return "\n".join(pieces), others


def _output(value: Any) -> tuple[str | None, list[Any]]:
    """Read an output: content blocks of a chat function, or `raw` and `parsed` of a JSON function."""
    value = free_form.structure(value)
    if value is None or isinstance(value, str):
        return value, []
    if isinstance(value, list):
        return _blocks(value)
    if isinstance(value, dict) and isinstance(value.get("raw"), str):
        return value["raw"], []
    if isinstance(value, dict) and value.get("parsed") is not None:
        return text_of(value["parsed"]), []
    return text_of(value), []


def _time_in(identity: str | None) -> int | None:
    """Return the milliseconds since 1970 in a UUIDv7, or None."""
    match = _UUID7.fullmatch(identity or "")
    return int(match.group(1) + match.group(2), 16) if match else None

"""Our own shape: a nested JSON object, or the same fields flat in a JSONL, CSV or Parquet row."""

import math
from typing import Any

import orjson

from flywheel.components.contracts.feedback import Annotator
from flywheel.components.intake import ratings
from flywheel.components.intake.json_text import text_of
from flywheel.components.intake.ratings import RatingRule

_ALIASES = {
    "interaction": ("interaction", "interaction_id", "id"),
    "conversation": ("conversation", "conversation_id", "session_id", "thread_id"),
    "user": ("user", "user_id"),
    "timestamp": ("timestamp", "time", "created_at", "created"),
    "model_version": ("model_version", "model"),
    "response": ("response", "answer", "output", "completion"),
    "source": ("source",),
    "language": ("language", "lang"),
}
_PROMPTS = ("prompt", "question", "input", "query")
_SIGNALS = ("rating", "correction", "comment", "implicit", "latency_ms", "tokens", "error")
_OTHERS = ("schema", "messages", "signals", "consent", "attributes")
_ANNOTATORS = {kind.value for kind in Annotator}
_NO = ("false", "no", "0", "0.0", "f", "n", "denied", "withdrawn")


def consent(value: dict[str, Any]) -> bool:
    """Whether the row's user agreed; only a clear no is a no, in the row or its metadata, attributes or tags."""
    holders = [value, *(value.get(name) for name in ("metadata", "attributes", "tags"))]
    said = [holder.get("consent") for holder in holders if isinstance(holder, dict)]
    return not any(answer is not None and str(answer).strip().lower() in _NO for answer in said)


def read(value: dict[str, Any], rule: RatingRule = ratings.DEFAULT) -> dict[str, Any]:
    """Map a row to the fields of FeedbackRecord; what is unknown goes to `attributes`.

    Args:
        value: The row's fields.
        rule: Its scale for `rating`, if it has one, reads stars and the like.

    Raises:
        ValueError: A field cannot be read; the message names it and not its content.
    """
    rest = dict(value)
    schema = rest.pop("schema", None)
    if schema not in (None, "flywheel.feedback/v1"):
        raise ValueError("schema: not flywheel.feedback/v1; name the log's format or update the package")
    fields: dict[str, Any] = {}
    for name, aliases in _ALIASES.items():
        for alias in aliases:
            if rest.get(alias) is not None:
                fields[name] = rest.pop(alias)
                break
    for name in ("interaction", "conversation", "user", "model_version"):
        if name in fields:
            fields[name] = _identifier(name, fields[name])
    attributes = _attributes(rest.pop("attributes", None))
    messages = structured("messages", rest.pop("messages", None))
    prompt = next((alias for alias in _PROMPTS if rest.get(alias) is not None), None)
    if not messages and prompt is not None:
        given = rest.pop(prompt)
        messages = given if isinstance(given, list) else [{"role": "user", "content": given}]
    fields["messages"], extra = plain_messages(messages)
    if fields["messages"] and fields["messages"][-1]["role"] == "assistant" and fields.get("response") is None:
        fields["response"] = fields["messages"].pop()["content"]
    if not fields["messages"] and isinstance(turn := rest.get("turn"), int | float | str) and str(turn).isdigit():
        fields["turn"] = rest.pop("turn")
    if extra:
        attributes["message_fields"] = extra
    fields["signals"], unknown = signals(rest.pop("signals", None), rest, rule)
    if isinstance(rest.get("annotator"), str) and rest["annotator"] in _ANNOTATORS:
        fields["annotator"] = Annotator(rest.pop("annotator"))
    rest.pop("consent", None)
    attributes |= {name: item for name, item in (rest | unknown).items() if item is not None}
    return fields | {"attributes": attributes}


def structured(name: str, value: Any) -> Any:
    """Return a list or object that a table column may hold as JSON text.

    Raises:
        ValueError: The text is not JSON.
    """
    if value is None or isinstance(value, list | dict):
        return value or []
    if isinstance(value, str):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError as error:
            raise ValueError(f"{name}: not a JSON list; {error.msg}") from error
    raise ValueError(f"{name}: not a list")


def plain_messages(messages: Any) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
    """Reduce chat messages to role and text; other fields of a message are returned beside, with its index.

    Raises:
        ValueError: Not a list of objects with role and content.
    """
    if not isinstance(messages, list):
        raise ValueError("messages: not a list of {role, content}")
    plain, extra = [], []
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise ValueError(f"messages.{index}: not an object with role and content")
        role = message.get("role")
        if not isinstance(role, str):
            raise ValueError(f"messages.{index}.role: missing or not text")
        plain.append(
            {"role": "tool" if role == "function" else role, "content": content_text(index, message.get("content"))}
        )
        other = {name: item for name, item in message.items() if name not in ("role", "content") and item is not None}
        if other:
            extra.append({"index": index, **other})
    return plain, extra


def content_text(index: int, content: Any) -> str:
    """Return a message's text; of a list of parts the text parts, others by their type in brackets.

    Raises:
        ValueError: Neither text nor a list of parts.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        pieces = []
        for part in content:
            if isinstance(part, str):
                pieces.append(part)
            elif isinstance(part, dict) and isinstance(part.get("text"), str):
                pieces.append(part["text"])
            elif isinstance(part, dict):
                pieces.append(f"[{str(part.get('type', 'part'))[:32]}]")
        return "\n".join(pieces)
    raise ValueError(f"messages.{index}.content: neither text nor a list of parts")


def signals(
    nested: Any, flat: dict[str, Any], rule: RatingRule = ratings.DEFAULT
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read the signals from a nested object and from flat fields (which are taken out of `flat`).

    Args:
        nested: The row's `signals`; only there may be `scores`.
        flat: The row's other fields.
        rule: Its scale for `rating`, if it has one, reads stars and the like.

    Returns:
        Fields of `Signals`, and unknown fields under names like `signals.stars`.

    Raises:
        ValueError: A signal cannot be read; the message names it.
    """
    nested = structured("signals", nested) or {}
    if not isinstance(nested, dict):
        raise ValueError("signals: not an object")
    given = {name: flat.pop(name) for name in _SIGNALS if flat.get(name) is not None}
    given |= {name: item for name, item in nested.items() if name in _SIGNALS and item is not None}
    unknown = {f"signals.{name}": item for name, item in nested.items() if name not in (*_SIGNALS, "scores")}
    found: dict[str, Any] = {}
    if "rating" in given:
        found["rating"] = _rating(given["rating"], rule)
    if nested.get("scores"):
        found["scores"] = nested["scores"]
    for name in ("correction", "comment"):
        if name in given and str(given[name]).strip():
            if not isinstance(given[name], str):
                raise ValueError(f"{name}: not text")
            found[name] = given[name]
    if "implicit" in given:
        found["implicit"] = _implicit(given["implicit"])
    for name in ("latency_ms", "tokens"):
        if name in given:
            found[name] = _number(name, given[name])
    error = given.get("error")
    if error not in (None, False, "", "None", "null", 0):
        found["error"] = text_of(error)
    return found, unknown


def _identifier(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{name}: not text")
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    if not text.strip():
        raise ValueError(f"{name}: empty")
    return text


def _attributes(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, str):
        value = structured("attributes", value)
    return dict(value) if isinstance(value, dict) else {"attributes": value}


def _rating(value: Any, rule: RatingRule) -> int:
    rating = rule.own(value)
    if rating is None:
        rating = ratings.our_rating(value)
    if rating is None:
        raise ValueError("rating: must be -1, 0 or 1 (or up/down); for stars or scores give the scale in `ratings`")
    return rating


def _implicit(value: Any) -> list[str]:
    if isinstance(value, str):
        text = value.strip()
        value = structured("implicit", text) if text.startswith("[") else [part.strip() for part in text.split(",")]
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        raise ValueError("implicit: not a list of names")
    return list(dict.fromkeys(part for part in value if part))


def _number(name: str, value: Any) -> float | int:
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: not a number") from error
    if not math.isfinite(number):
        raise ValueError(f"{name}: not a finite number")
    return int(number) if name == "tokens" else number

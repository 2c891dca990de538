"""OpenAI chat completions: request/response pairs as proxies log them, batch files, and stored completions."""

from typing import Any

from flywheel.components.intake import ratings
from flywheel.components.intake.formats.flat_record import content_text, plain_messages, signals
from flywheel.components.intake.ratings import RatingRule

_TAKEN = ("request", "response", "feedback", "signals", "metadata", "consent", "messages", "input", "choices")


def detect(row: dict[str, Any]) -> bool:
    """Whether a row is a logged or stored chat completion."""
    if row.get("object") == "chat.completion" or "choices" in row:
        return True
    return isinstance(row.get("request"), dict) and "response" in row


def read(value: dict[str, Any], rule: RatingRule = ratings.DEFAULT) -> dict[str, Any]:
    """Map a logged completion to the fields of FeedbackRecord.

    Two shapes: `{"request": {...}, "response": {...}}` (each maybe under `body`), and a completion object with
    `choices` and the prompt beside it in `messages` or `input`. `feedback` or `signals` holds what users said;
    `metadata` may name `conversation`, `user`, `timestamp`.

    Raises:
        ValueError: A part is missing; the message names it.
    """
    paired = isinstance(value.get("request"), dict)
    request = _body(value["request"]) if paired else value
    response = _body(value.get("response")) if paired else value
    metadata = _first_object(value.get("metadata"), request.get("metadata"), response.get("metadata"))
    prompt = request.get("messages", request.get("input"))
    if isinstance(prompt, str):
        prompt = [{"role": "user", "content": prompt}]
    if not prompt:
        raise ValueError(f"{'request.' if paired else ''}messages: missing")
    messages, extra = plain_messages(prompt)
    answer, answer_extra, choices_left = _answer(response)
    attributes: dict[str, Any] = {}
    rest = {name: item for name, item in value.items() if name not in _TAKEN}
    found, unknown = signals(value.get("signals", _feedback(value.get("feedback"))), rest, rule)
    found |= _automatic(response, found)
    if paired:
        attributes["request"] = {name: item for name, item in request.items() if name not in ("messages", "input")}
        attributes["response"] = {name: item for name, item in response.items() if name != "choices"}
    attributes |= rest | unknown
    for name, item in (
        ("metadata", metadata),
        ("message_fields", extra),
        ("answer_fields", answer_extra),
        ("other_choices", choices_left),
    ):
        if item:
            attributes[name] = item
    for holder in (attributes, attributes.get("request", {}), attributes.get("metadata", {})):
        for name in ("user", "user_id", "input_user", "safety_identifier"):
            holder.pop(name, None)  # the person is in `subject`, as a pseudonym
    moment = _first(value.get("timestamp"), metadata.get("timestamp"), response.get("created"), value.get("created_at"))
    talk = _first(metadata.get("conversation"), metadata.get("conversation_id"), metadata.get("session_id"))
    fields = {
        "interaction": _text(_first(response.get("id"), value.get("id"), value.get("custom_id"))),
        "conversation": _text(talk),
        "user": _text(
            _first(
                request.get("user"), request.get("safety_identifier"), value.get("user"), value.get("input_user"),
                metadata.get("user"), metadata.get("user_id"),
            )
        ),
        "timestamp": moment,
        "model_version": _text(_first(response.get("model"), request.get("model"))),
        "messages": messages,
        "response": answer,
        "signals": found,
        "attributes": attributes,
    }  # fmt: skip
    return {name: item for name, item in fields.items() if item is not None}


def _body(part: Any) -> dict[str, Any]:
    if part is None:
        return {}
    if not isinstance(part, dict):
        raise ValueError("request and response: not objects")
    inner = part.get("body")
    return inner if isinstance(inner, dict) else part


def _answer(response: dict[str, Any]) -> tuple[str | None, dict[str, Any], list[Any]]:
    choices = response.get("choices")
    if not choices:
        return None, {}, []
    if not isinstance(choices, list) or not isinstance(choices[0], dict):
        raise ValueError("response.choices: not a list of objects")
    message = choices[0].get("message")
    if not isinstance(message, dict):
        raise ValueError("response.choices.0.message: missing")
    extra = {name: item for name, item in message.items() if name not in ("role", "content") and item}
    return content_text(0, message.get("content")), extra, choices[1:]


def _automatic(response: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    more: dict[str, Any] = {}
    usage = response.get("usage")
    if "tokens" not in found and isinstance(usage, dict):
        tokens = usage.get("completion_tokens", usage.get("output_tokens"))
        if isinstance(tokens, int) and not isinstance(tokens, bool) and tokens >= 0:
            more["tokens"] = tokens
    error = response.get("error")
    if "error" not in found and error:
        said = error.get("message") if isinstance(error, dict) else error
        more["error"] = said if isinstance(said, str) else "error without a message"
    return more


def _feedback(value: Any) -> Any:
    if not isinstance(value, dict):
        return None if value is None else {"rating": value}
    named = dict(value)
    for alias, name in (("score", "rating"), ("thumbs", "rating"), ("text", "comment"), ("value", "rating")):
        if alias in named and name not in named:
            named[name] = named.pop(alias)
    return named


def _first_object(*values: Any) -> dict[str, Any]:
    return next((dict(value) for value in values if isinstance(value, dict)), {})


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None and value != ""), None)


def _text(value: Any) -> str | None:
    return None if value is None or isinstance(value, dict | list | bool) else str(value)

"""Questions and answers in fields that hold any JSON: `input` and `output` of a trace or a span."""

from typing import Any

from flywheel.components.intake.formats.flat_record import content_text, plain_messages
from flywheel.components.intake.json_text import parse_json

_MESSAGES = ("messages", "chat_history", "history")
_QUESTIONS = ("question", "prompt", "query", "input", "text", "content", "message", "user_input")
_ANSWERS = ("answer", "output", "response", "completion", "content", "text", "result", "message", "generated_text")
_ROLES = {"human": "user", "ai": "assistant", "model": "assistant", "bot": "assistant", "function": "tool"}

Extra = list[dict[str, Any]]


def structure(value: Any) -> Any:
    """Return what a text of JSON holds, or the value itself: exporters write objects as text.

    Escapes inside such a text would hide personal data from every pattern, too.
    """
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return parse_json(value.encode("utf-8", "surrogatepass"))
        except ValueError:
            return value
    return value


def question(value: Any) -> tuple[list[dict[str, str]], Extra]:
    """Read what was asked: text, a list of messages, or an object that holds one of them.

    Returns:
        Messages of role and text, and their other fields with the message's index; no messages when nothing was asked
        in a form that can be read.
    """
    value = structure(value)
    if isinstance(value, str):
        return ([{"role": "user", "content": value}], []) if value.strip() else ([], [])
    if isinstance(value, list):
        return _messages(value)
    return _asked_in(value) if isinstance(value, dict) else ([], [])


def _asked_in(value: dict[str, Any]) -> tuple[list[dict[str, str]], Extra]:
    if isinstance(value.get("role"), str):
        return _messages([value])
    lists = [value[name] for name in _MESSAGES if isinstance(value.get(name), list)]
    others = [value[name] for name in _QUESTIONS if isinstance(value.get(name), str | list | dict)]
    arguments = value.get("args")  # of a decorated function, as tracing SDKs write them
    if isinstance(value.get("kwargs"), dict):
        others.append(value["kwargs"])
    if isinstance(arguments, list) and len(arguments) == 1:
        others.append(arguments[0])
    for read, candidates in ((_messages, lists), (question, others)):
        for candidate in candidates:
            found = read(candidate)
            if found[0]:
                return found
    return [], []


def answer(value: Any) -> str | None:
    """Read what was answered: text, a message, a list of messages (the last of the assistant counts), or an object.

    Returns:
        The text; None when there is none that can be read.
    """
    value = structure(value)
    if isinstance(value, list):
        spoken = [item for item in value if not isinstance(item, dict) or _role(item) in (None, "assistant")]
        return answer(spoken[-1]) if spoken else None
    if isinstance(value, dict):
        return _answered_in(value)
    return value if isinstance(value, str) else None


def _answered_in(value: dict[str, Any]) -> str | None:
    choices = value.get("choices")
    if isinstance(choices, list) and choices:
        return answer(choices[0])
    said = next((value[name] for name in _ANSWERS if isinstance(value.get(name), str)), None)
    if said is not None:
        return str(said)
    if isinstance(value.get("content"), list):
        return content_text(0, value["content"])
    inner = (value[name] for name in ("message", "messages", "output", "response") if value.get(name) is not None)
    return next((answer(item) for item in inner if isinstance(item, dict | list)), None)


def with_role(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message with the role's common name; LangChain's `type` counts where there is no role."""
    role = _role(message)
    rest = {name: item for name, item in message.items() if name != "role" and not (name == "type" and item == role)}
    return rest if role is None else {"role": role} | rest


def _role(message: dict[str, Any]) -> str | None:
    role = message.get("role", message.get("type"))
    return _ROLES.get(role.lower(), role.lower()) if isinstance(role, str) else None


def _messages(items: list[Any]) -> tuple[list[dict[str, str]], Extra]:
    objects = [with_role(item) for item in items if isinstance(item, dict)]
    if len(objects) != len(items) or not objects:
        return [], []
    try:
        return plain_messages(objects)
    except ValueError:
        return [], []

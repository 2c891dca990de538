"""Questions and answers in the payloads of inference protocols: OpenAI chat and completions, KServe V1 and V2."""

from dataclasses import dataclass, field
from typing import Any

from flywheel.components.intake.formats.flat_record import content_text, plain_messages

_PROMPTS = ("prompt", "text", "input", "question", "query", "text_input", "inputs", "content")
_ANSWERS = ("text", "answer", "output", "generated_text", "response", "content", "text_output", "completion")
_USERS = ("user", "user_id", "safety_identifier")
_TALKS = ("conversation", "conversation_id", "session_id", "thread_id")


@dataclass(frozen=True)
class Question:
    """What one instance of a request asks."""

    messages: list[dict[str, str]]
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What one instance of a response says."""

    text: str
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """A request of one or more questions; `user` is still as the sender wrote it."""

    questions: list[Question]
    user: str = ""
    conversation: str = ""
    model: str = ""


@dataclass(frozen=True)
class Response:
    """A response of one or more answers."""

    answers: list[Answer]
    model: str = ""
    tokens: int | None = None


def request(data: Any, metadata: dict[str, str]) -> Request:
    """Read a request's payload.

    Args:
        data: Parsed JSON.
        metadata: Headers of the inference; `x-user-id`, `x-conversation-id` and the like count when the payload is
            silent.

    Raises:
        ValueError: No question can be found in it.
    """
    if not isinstance(data, dict):
        raise ValueError("the request is not a JSON object")
    inner = data.get("metadata") if isinstance(data.get("metadata"), dict) else {}
    taken = {"messages", "metadata", *_USERS, *_TALKS}
    if data.get("messages"):
        messages, fields = plain_messages(data["messages"])
        rest = {name: item for name, item in data.items() if name not in taken and item is not None}
        questions = [Question(messages, rest | ({"message_fields": fields} if fields else {}))]
    else:
        questions = [_question(index, item) for index, item in enumerate(_instances(data, "instances", _PROMPTS))]
    if not any(
        message["role"] == "user" and message["content"].strip() for one in questions for message in one.messages
    ):
        raise ValueError("the request holds no user message with text")
    return Request(
        questions,
        _first(_USERS, (data, inner, _headers(metadata))),
        _first(_TALKS, (data, inner, _headers(metadata))),
        _first(("model",), (data,)),
    )


def response(data: Any) -> Response:
    """Read a response's payload.

    Raises:
        ValueError: No answer can be found in it.
    """
    if not isinstance(data, dict):
        raise ValueError("the response is not a JSON object")
    usage = data.get("usage")
    tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
    tokens = tokens if isinstance(tokens, int) and not isinstance(tokens, bool) and tokens >= 0 else None
    model = _first(("model",), (data,)) or _first(("model_name",), (data,))
    if isinstance(data.get("choices"), list) and data["choices"]:
        kept = {name: data[name] for name in ("id", "system_fingerprint") if isinstance(data.get(name), str)}
        answers = [_choice(choice, kept) for choice in data["choices"]]
        chat = isinstance(data["choices"][0], dict) and "message" in data["choices"][0]
        return Response(answers[:1] if chat else answers, model, tokens)
    answers = [_answer(index, item) for index, item in enumerate(_instances(data, "predictions", _ANSWERS))]
    return Response(answers, model, tokens)


def _instances(data: dict[str, Any], v1: str, names: tuple[str, ...]) -> list[Any]:
    """Return the instances of V1 (`instances`, `predictions`), V2 (tensors of BYTES) or a plain field."""
    tensors = data.get("inputs" if v1 == "instances" else "outputs")
    if isinstance(data.get(v1), list):
        found = data[v1]
    elif isinstance(tensors, list) and any(isinstance(one, dict) and "datatype" in one for one in tensors):
        texts = [one for one in tensors if isinstance(one, dict) and one.get("datatype") == "BYTES"]
        found = _flat(texts[0].get("data")) if texts else []
    else:
        value = next((data[name] for name in names if data.get(name) is not None), None)
        found = value if isinstance(value, list) else [] if value is None else [data]
    if not found:
        raise ValueError(f"neither OpenAI's fields, nor {v1}, nor a tensor of BYTES, nor one of {', '.join(names)}")
    return found


def _flat(value: Any) -> list[Any]:
    if not isinstance(value, list):
        return []
    return [one for item in value for one in (_flat(item) if isinstance(item, list) else [item])]


def _question(index: int, item: Any) -> Question:
    if isinstance(item, str):
        return Question([{"role": "user", "content": item}])
    if isinstance(item, dict):
        if item.get("messages"):
            messages, fields = plain_messages(item["messages"])
            rest = {name: value for name, value in item.items() if name not in ("messages", *_USERS, *_TALKS)}
            return Question(messages, rest | ({"message_fields": fields} if fields else {}))
        name = next((name for name in _PROMPTS if isinstance(item.get(name), str)), None)
        if name is not None:
            rest = {key: value for key, value in item.items() if key not in (name, *_USERS, *_TALKS)}
            return Question([{"role": "user", "content": item[name]}], rest)
    raise ValueError(f"instance {index}: neither text, nor messages, nor one of {', '.join(_PROMPTS)}")


def _answer(index: int, item: Any) -> Answer:
    if isinstance(item, str):
        return Answer(item)
    if isinstance(item, dict):
        name = next((name for name in _ANSWERS if isinstance(item.get(name), str)), None)
        if name is not None:
            return Answer(item[name], {key: value for key, value in item.items() if key != name})
    raise ValueError(f"prediction {index}: neither text nor an object with one of {', '.join(_ANSWERS)}")


def _choice(choice: Any, kept: dict[str, Any]) -> Answer:
    if not isinstance(choice, dict):
        raise ValueError("choices: not a list of objects")
    message = choice.get("message")
    if isinstance(message, dict):
        rest = {name: item for name, item in message.items() if name not in ("role", "content") and item}
        return Answer(content_text(0, message.get("content")), kept | rest)
    if isinstance(choice.get("text"), str):
        return Answer(choice["text"], kept)
    raise ValueError("choices: neither message nor text")


def _headers(metadata: dict[str, str]) -> dict[str, str]:
    return {name.removeprefix("x-").replace("-", "_"): value for name, value in metadata.items()}


def _first(names: tuple[str, ...], holders: tuple[Any, ...]) -> str:
    for holder in holders:
        for name in names:
            value = holder.get(name)
            if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
                return str(value)
    return ""

"""Prompts as message lists, and the key by which two prompts are the same question."""

from collections.abc import Sequence
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from flywheel.components.contracts.feedback import Message
from flywheel.components.curation.texts.normal_form import normal_form, question_form

Messages = tuple[Message, ...]
_LIST = TypeAdapter(Messages)


def parse_messages(value: Any) -> Messages:
    """Read a prompt: a message list, JSON of one, or the text of one user message.

    Args:
        value: What a column or a line holds.

    Returns:
        The messages up to and with the last one of the user; what stands after it is an answer, not a prompt.

    Raises:
        ValueError: It is none of these, or there is no user message with text.
    """
    if isinstance(value, str):
        text = value.strip()
        value = orjson.loads(text) if text.startswith("[{") else [{"role": "user", "content": value}]
    try:
        messages = _LIST.validate_python([dict(message) for message in value])
    except (ValidationError, TypeError) as error:
        raise ValueError("messages are not a list of {role, content}") from error
    while messages and messages[-1].role != "user":
        messages = messages[:-1]
    if not messages or not messages[-1].content.strip():
        raise ValueError("messages hold no user message with text")
    return messages


def prompt_key(messages: Sequence[Message]) -> str:
    """Say which question a prompt asks: equal keys, equal questions.

    Greetings, politeness, case, punctuation and spacing do not count in what the user asks last; the turns before it
    and the system message count as they are.

    Args:
        messages: A prompt; the last message is the user's.

    Returns:
        A text key.
    """
    last = messages[-1].content
    before = [f"{message.role}: {normal_form(message.content)}" for message in messages[:-1]]
    return "\n".join([*before, question_form(last) or last.strip().casefold()])


def as_rows(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Render messages in the shape of TRL's conversational columns."""
    return [{"role": message.role, "content": message.content} for message in messages]

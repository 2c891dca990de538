"""Preference data as the Hugging Face hub holds it: the chosen answer becomes the correction of the rejected one."""

import re
from typing import Any

from flywheel.components.contracts.feedback import Annotator
from flywheel.components.intake import ratings
from flywheel.components.intake.formats.flat_record import plain_messages
from flywheel.components.intake.ratings import RatingRule

_TURN = re.compile(r"(?:^|\n\n)(Human|Assistant|User|System):[ \t]*")
_ROLES = {"Human": "user", "User": "user", "Assistant": "assistant", "System": "system"}
_USED = ("prompt", "question", "instruction", "chosen", "rejected", "id", "interaction", "timestamp", "user", "consent")


def detect(row: dict[str, Any]) -> bool:
    """Whether a row is a pair of a chosen and a rejected answer."""
    return "chosen" in row and "rejected" in row


def read(value: dict[str, Any], rule: RatingRule = ratings.DEFAULT) -> dict[str, Any]:
    r"""Map a pair to the fields of FeedbackRecord.

    `chosen` and `rejected` are answers beside a `prompt`, lists of messages, or whole dialogues as in hh-rlhf
    ("\n\nHuman: ...\n\nAssistant: ...").

    Raises:
        ValueError: The pair has no common prompt, or its answers are the same; the message says which.
    """
    del rule  # a pair holds no rating
    prompt = value.get("prompt", value.get("question", value.get("instruction")))
    before = _dialogue("prompt", prompt, "user") if prompt else []
    chosen = _dialogue("chosen", value.get("chosen"), "assistant")
    rejected = _dialogue("rejected", value.get("rejected"), "assistant")
    if chosen[:-1] != rejected[:-1]:
        raise ValueError("chosen, rejected: they do not answer the same prompt")
    if chosen[-1]["role"] != "assistant" or rejected[-1]["role"] != "assistant":
        raise ValueError("chosen, rejected: the last turn is not the assistant's")
    inside = chosen[:-1]
    messages = inside if inside[: len(before)] == before else before + inside
    if not messages:
        raise ValueError("prompt: missing; chosen and rejected hold no earlier turn either")
    if chosen[-1]["content"] == rejected[-1]["content"]:
        raise ValueError("chosen: the same answer as rejected; there is nothing to prefer")
    fields = {
        "interaction": _text(value.get("id", value.get("interaction"))),
        "timestamp": value.get("timestamp"),
        "user": _text(value.get("user")),
        "messages": messages,
        "response": rejected[-1]["content"],
        "signals": {"correction": chosen[-1]["content"]},
        "source": "preferences",
        "annotator": Annotator.HUMAN,
        "attributes": {name: item for name, item in value.items() if name not in _USED and item is not None},
    }
    return {name: item for name, item in fields.items() if item is not None}


def _dialogue(name: str, value: Any, role: str) -> list[dict[str, str]]:
    if isinstance(value, list) and value:
        return plain_messages(value)[0]
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name}: missing, or neither text nor a list of messages")
    turns = list(_TURN.finditer(value))
    if not turns or value[: turns[0].start()].strip():
        return [{"role": role, "content": value}]
    ends = [*(turn.start() for turn in turns[1:]), len(value)]
    spoken = [
        {"role": _ROLES[turn.group(1)], "content": value[turn.end() : end].strip()}
        for turn, end in zip(turns, ends, strict=True)
    ]
    if name == "prompt" and spoken[-1] == {"role": "assistant", "content": ""}:
        spoken.pop()  # "...\n\nAssistant:" asks for what chosen and rejected give
    return spoken


def _text(value: Any) -> str | None:
    return None if value is None or isinstance(value, dict | list | bool) else str(value)

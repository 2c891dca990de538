"""What is wrong with a list of chat messages, as a code; "ok" when it can be rendered by a chat template."""

from typing import Any

_ROLES = ("system", "developer", "user", "assistant", "tool")


def prompt_fault(messages: Any) -> str:
    """Check a prompt: system first if at all, user and assistant in turn, the user last.

    An assistant's tool call, the tool's results and what the assistant makes of them count as one turn.

    Args:
        messages: Value of a prompt column.

    Returns:
        "ok" or the first fault: not_a_list, no_messages, bad_message, unknown_role, system_not_first,
        roles_do_not_alternate, last_is_not_user.
    """
    fault = _list_fault(messages)
    if fault != "ok":
        return fault
    roles = [message["role"] for message in messages]
    while roles and roles[0] in ("system", "developer"):
        roles.pop(0)
    if "system" in roles or "developer" in roles:
        return "system_not_first"
    turns: list[str] = []
    for place, role in enumerate(roles):
        resumed = role == "assistant" and place > 0 and roles[place - 1] == "tool"
        if role != "tool" and not (resumed and turns[-1:] == ["assistant"]):
            turns.append(role)
    if any(role != ("user", "assistant")[place % 2] for place, role in enumerate(turns)):
        return "roles_do_not_alternate"
    return "ok" if roles and roles[-1] == "user" else "last_is_not_user"


def answer_fault(messages: Any) -> str:
    """Check an answer: exactly one message, by the assistant.

    Args:
        messages: Value of a completion, chosen or rejected column.

    Returns:
        "ok" or the first fault: not_a_list, no_messages, bad_message, unknown_role, not_one_message, not_by_assistant.
    """
    fault = _list_fault(messages)
    if fault != "ok":
        return fault
    if len(messages) != 1:
        return "not_one_message"
    return "ok" if messages[0]["role"] == "assistant" else "not_by_assistant"


def blank(messages: Any, *roles: str) -> bool:
    """Whether a message of one of these roles has no text; a value that is not a list of messages has none at all.

    Args:
        messages: Value of a message-list column.
        *roles: Roles to look at. An assistant's message in a prompt may be blank: it may be a tool call.

    Returns:
        Whether text is missing.
    """
    if _list_fault(messages) not in ("ok", "unknown_role"):
        return True
    return any(not message["content"].strip() for message in messages if message.get("role") in roles)


def texts(messages: Any) -> list[str]:
    """Return the contents of whatever messages are there."""
    found = messages if isinstance(messages, list) else []
    return [str(message.get("content") or "") for message in found if isinstance(message, dict)]


def _list_fault(messages: Any) -> str:
    if not isinstance(messages, list):
        return "not_a_list"
    if not messages:
        return "no_messages"
    if not all(isinstance(m, dict) and isinstance(m.get("content"), str) for m in messages):
        return "bad_message"
    return "ok" if all(message.get("role") in _ROLES for message in messages) else "unknown_role"

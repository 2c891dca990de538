"""What is wrong with a list of chat messages, as a code; "ok" when it can be rendered by a chat template."""

from typing import Any

_ROLES = ("system", "developer", "user", "assistant", "tool")


def prompt_fault(messages: Any) -> str:
    """Check a prompt: system first if at all, user and assistant in turn, the user last.

    Tool messages may stand between an assistant message and what follows it.

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
    turns = [role for role in roles if role != "tool"]
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


def blank(messages: Any) -> bool:
    """Whether some message has no text; a list that is not one of messages has none."""
    if _list_fault(messages) not in ("ok", "unknown_role"):
        return True
    return any(not message["content"].strip() for message in messages)


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

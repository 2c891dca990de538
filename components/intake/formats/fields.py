"""Small pieces of mapping that several formats need: what is missing is None, what is empty is left out."""

from typing import Any

from flywheel.components.intake import timestamps

NO_CONSENT = "the user did not agree to the use of this record; nothing of it is kept"


class NotAnInteraction(ValueError):
    """A good row of a trace that holds no question and answer: a tool's span, a retrieval, a span without content."""


class NoConsent(ValueError):
    """The user did not agree to the use of this row; nothing of it may be kept."""


def first(holder: dict[str, Any], *names: str) -> Any:
    """Take the first field that says something out of an object; the others of these names stay in it."""
    for name in names:
        if holder.get(name) not in (None, ""):
            return holder.pop(name)
    return None


def text(value: Any) -> str | None:
    """Return an id or a name as text, or None when it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not str(value).strip():
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def whole(value: Any) -> int | None:
    """Return a count, or None when it is none."""
    if isinstance(value, str):
        digits = value.removesuffix(".0")  # a table's column of numbers with gaps is one of floats
        return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else None
    if isinstance(value, float) and value.is_integer() and 0 <= value < 1e15:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**15 else None


def milliseconds(start: Any, end: Any) -> float | None:
    """Return the time between two timestamps, or None when one is missing, unreadable or the clock went backwards."""
    try:
        passed = (timestamps.parse(end) - timestamps.parse(start)).total_seconds() * 1000
    except ValueError:
        return None
    return passed if passed >= 0 else None


def kept(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that say something; zero and false do."""
    return {name: item for name, item in fields.items() if item not in (None, "", [], {})}

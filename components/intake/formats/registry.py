"""The formats by name, and which one a row has: the order of FORMATS is the order of asking."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from flywheel.components.contracts.feedback import SCHEMA
from flywheel.components.intake.formats import (
    flat_record,
    kserve_log,
    langfuse,
    openai_log,
    openinference,
    otel_genai,
    preferences,
    spans,
    tensorzero,
)
from flywheel.components.intake.formats.fields import NotAnInteraction
from flywheel.components.intake.ratings import RatingRule

_PAGE = {"data", "meta", "next_cursor", "nextCursor", "object", "has_more", "first_id", "last_id"}
_OURS = frozenset(("signals", "rating", "correction", "implicit", "prompt", "interaction"))  # no other tool has these
# With one of these a row may be another tool's all the same, or hold more than one row.
# fmt: off
_THEIRS = frozenset((
    "request", "choices", "object", "chosen", "data", "resourceSpans", "resource_spans", "resourceLogs",
    "resource_logs", "attributes", "context", "span_id", "spanId", "trace_id", "traceId", "function_name", "target_id",
    "inference_id", "specversion",
))
# fmt: on


def _itself(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield row


@dataclass(frozen=True)
class Format:
    """How rows of a format are told (`detect`), split into what one record is made of (`units`), and mapped (`read`).

    `read` returns the fields of FeedbackRecord, and `annotator` when it is not the user. `timeless`: rows may have no
    timestamp; the file's counts.
    """

    name: str
    detect: Callable[[dict[str, Any]], bool]
    read: Callable[[dict[str, Any], RatingRule], dict[str, Any]]
    units: Callable[[dict[str, Any]], Iterator[dict[str, Any]]] = _itself
    timeless: bool = False


FORMATS: tuple[Format, ...] = (
    Format("preferences", preferences.detect, preferences.read, timeless=True),
    Format("kserve", kserve_log.detect, kserve_log.read, kserve_log.units, timeless=True),
    Format("openinference", openinference.detect, openinference.read, openinference.units),
    Format("otel", otel_genai.detect, otel_genai.read, otel_genai.units),
    Format("langfuse", langfuse.detect, langfuse.read, langfuse.units),
    Format("tensorzero", tensorzero.detect, tensorzero.read),
    Format("openai", openai_log.detect, openai_log.read),
    Format("feedback", lambda _: True, flat_record.read),
)
BY_NAME = {one.name: one for one in FORMATS}
OWN = "feedback"  # name of our own format
_OWN = BY_NAME[OWN]
CONTAINERS = ("csv", "parquet")  # named to say how a file is to be read; its rows tell their format
_OWN_NAMES = frozenset(("auto", OWN, *CONTAINERS))
NAMES = ("auto", "feedback", *CONTAINERS, *(one.name for one in reversed(FORMATS) if one.name != "feedback"))


def format_of(row: dict[str, Any], name: str = "auto") -> Format:
    """Return the named format, or, for "auto" and a container's name, the one that a row's fields tell.

    What no other format knows is our own.
    """
    if name in BY_NAME:
        return BY_NAME[name]
    if any(row.get(field) is not None for field in _OURS) and "chosen" not in row:
        return BY_NAME["openai"] if openai_log.detect(row) else _OWN
    return next(one for one in FORMATS if one.detect(row))


def may_be_own(name: str) -> bool:
    """Whether rows may be of our own shape under a name of NAMES."""
    return name in _OWN_NAMES


def is_own(value: dict[str, Any], name: str) -> bool:
    """Whether a line's object is for certain one row of our own shape, under a name of NAMES."""
    return may_be_own(name) and (
        value.get("schema") == SCHEMA or (_THEIRS.isdisjoint(value) and not _OURS.isdisjoint(value))
    )


def rows_of(value: dict[str, Any], name: str) -> list[tuple[str, dict[str, Any]]]:
    """Split a line's object into rows: pages of an API, exports of spans, traces with their scores.

    Args:
        value: One JSON object.
        name: A name of NAMES.

    Returns:
        Format and fields of every row, at least one.

    Raises:
        NotAnInteraction: It is an export, or a page, that holds none.
        ValueError: A part of it cannot be read; the message says which.
    """
    if is_own(value, name):
        return [(OWN, value)]
    rows = []
    for item in _page(value):
        for one in spans.unpacked(item):
            found = format_of(one, name)
            # What hangs on a row that may not be used (scores of a trace) may not be used either: it stays whole.
            rows += [(found.name, unit) for unit in (found.units(one) if flat_record.consent(one) else (one,))]
    if not rows:
        raise NotAnInteraction("an export without rows")
    return rows


def _page(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the objects on a page of an API's answer (`{"data": [...], "meta": ...}`), or the row itself."""
    data = value.get("data")
    if not isinstance(data, list) or not set(value) <= _PAGE:
        return [value]
    if not all(isinstance(one, dict) for one in data):
        raise ValueError("data: holds something that is not an object")
    return data

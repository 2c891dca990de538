"""The groups that corrections and users belong to, by named columns."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flywheel.components.curation.texts.normal_form import normal_form

Row = Mapping[str, Any]  # a routed row with the columns of its interaction

DEFAULT = ("language", "source", "model_version", "subject_activity", "category", "length")
UNKNOWN = "unknown"
_ACTIVITY = ((1, "1 interaction"), (5, "2 to 5 interactions"), (20, "6 to 20 interactions"))
_LENGTH = ((4, "up to 4 words"), (14, "5 to 14 words"), (49, "15 to 49 words"))


def _activity(row: Row) -> str:
    place = list(row["supporters"]).index(row["subject"]) if row["subject"] in row["supporters"] else 0
    number = row["supporter_activity"][place]
    return next((name for most, name in _ACTIVITY if number <= most), "21 interactions or more")


def _length(row: Row) -> str:
    number = len(normal_form(row["correction"]).split())
    return next((name for most, name in _LENGTH if number <= most), "50 words or more")


def _plain(column: str) -> Callable[[Row], str]:
    return lambda row: str(row.get(column) or UNKNOWN)


def _attribute(name: str) -> Callable[[Row], str]:
    def value(row: Row) -> str:
        try:
            held = json.loads(row.get("attributes") or "{}")
        except ValueError:
            return UNKNOWN
        found = held.get(name) if isinstance(held, dict) else None
        return str(found) if isinstance(found, str | int | bool) and str(found) else UNKNOWN

    return value


def grouping(column: str) -> Callable[[Row], str]:
    """How a column sorts rows into groups.

    Args:
        column: `subject_activity`, `length`, a column of the rows (`language`, `source`, `model_version`, `category`),
            or `attributes.NAME` for an attribute that the log gave.

    Raises:
        ValueError: There is no such column.
    """
    if column == "subject_activity":
        return _activity
    if column == "length":
        return _length
    if column.startswith("attributes.") and column != "attributes.":
        return _attribute(column.removeprefix("attributes."))
    if column in ("language", "source", "model_version", "category"):
        return _plain(column)
    raise ValueError(f"there are no groups by {column!r}; give {', '.join(DEFAULT)} or attributes.NAME")


def columns_of(given: str) -> tuple[str, ...]:
    """Read a comma-separated list of columns; "" for the default ones.

    Raises:
        ValueError: A column is unknown or named twice.
    """
    columns = tuple(part.strip() for part in given.split(",") if part.strip()) or DEFAULT
    if len(set(columns)) < len(columns):
        raise ValueError(f"a column is named twice in {given!r}")
    for column in columns:
        grouping(column)
    return columns


def groups_of(rows: Sequence[Row], columns: Sequence[str]) -> dict[str, list[str]]:
    """The group of each row by each column."""
    return {column: [grouping(column)(row) for row in rows] for column in columns}

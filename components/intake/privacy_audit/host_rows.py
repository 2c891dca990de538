"""A bounded, seeded sample of the user's own rows, and the places in them where people write."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from flywheel.components.intake import sources
from flywheel.components.intake.errors import IntakeError
from flywheel.components.intake.json_text import parse_json
from flywheel.components.intake.json_values import read_values, spans_lines
from flywheel.components.intake.lines import read_lines
from flywheel.components.intake.reading import read_rows

_LOOK_AT = 5000  # rows from the beginning of the logs; the sample is drawn from them
_LONGEST = 20_000  # characters of a row, as JSON; longer ones would make the audit slow
_TABULAR = (".csv", ".tsv", ".parquet")
_SHORT = 8  # characters; shorter texts are codes and ids


@dataclass(frozen=True)
class Place:
    """A text in a row where people write.

    Attributes:
        name: Where it is, as `messages[].content`.
        holder: The object or list that holds it.
        key: Its key or index there.
    """

    name: str
    holder: Any
    key: Any

    def add(self, text: str) -> None:
        """Append a text on a line of its own."""
        before = self.holder[self.key]
        self.holder[self.key] = f"{before}\n{text}" if before else text


def sample(logs: str, log_format: str, rows: int, seed: int) -> list[dict[str, Any]]:
    """Draw rows from the beginning of the logs, in their own format, unread and unscrubbed: keep them in memory.

    Args:
        logs: What intake gets.
        log_format: A name of `records.FORMATS`.
        rows: Most rows to draw.
        seed: Of the draw.

    Returns:
        JSON objects; of tables their rows.

    Raises:
        NothingToAudit: There is no row that could hold a canary.
    """
    looked_at: list[dict[str, Any]] = []
    for source in sources.resolve(logs):
        for value in _documents(source, log_format):
            looked_at.append(value)
            if len(looked_at) >= _LOOK_AT:
                break
        if len(looked_at) >= _LOOK_AT:
            break
    usable = [value for value in looked_at if len(json.dumps(value, default=str)) <= _LONGEST]
    if not usable:
        raise NothingToAudit(
            f"no row of {sources.shown(logs)} can be read as an object, so the privacy audit has nothing to work on"
        )
    chosen = Random(f"host rows {seed}").sample(range(len(usable)), min(rows, len(usable)))
    return [json.loads(json.dumps(usable[index], default=str)) for index in sorted(chosen)]


def _documents(source: sources.Source, log_format: str) -> Iterator[dict[str, Any]]:
    if source.suffix in _TABULAR or log_format in ("csv", "parquet"):
        for row in read_rows(source, log_format):
            if row.value is not None:
                yield {str(key): value for key, value in row.value.items() if value is not None}
        return
    with source.open() as stream:
        head = stream.read(1 << 16)
    with source.open() as stream:
        for line in (read_values if spans_lines(head) else read_lines)(stream):
            if line.damaged or line.too_long:
                continue
            try:
                value = parse_json(line.data)
            except ValueError:
                continue  # intake quarantines it; here it is no host
            if isinstance(value, dict):
                yield value


class NothingToAudit(IntakeError):
    """The logs hold no row that could take a canary."""


class Host:
    """One row and its places; JSON text inside a text is opened, and closed again by `finished`."""

    def __init__(self, value: dict[str, Any]) -> None:
        self.value = value
        self._closing: list[tuple[Any, Any, Any]] = []
        self.places = [*self._texts(value, ""), *self._more(value)]

    def finished(self) -> dict[str, Any]:
        """Return the row with what was added."""
        for holder, key, inner in reversed(self._closing):
            holder[key] = json.dumps(inner, ensure_ascii=False)
        self._closing.clear()
        return self.value

    def _texts(self, value: Any, name: str) -> Iterator[Place]:
        if isinstance(value, dict):
            items: Any = [(key, value[key], f"{name}.{key}".lstrip(".")) for key in value]
        elif isinstance(value, list):
            items = [(index, item, f"{name}[]") for index, item in enumerate(value)]
        else:
            return
        for key, item, path in items:
            if isinstance(item, str):
                inner = _json_inside(item)
                if inner is not None:
                    self._closing.append((value, key, inner))
                    yield from self._texts(inner, path)
                elif len(item) >= _SHORT and " " in item.strip():
                    yield Place(path, value, key)
            else:
                yield from self._texts(item, path)

    @staticmethod
    def _more(value: dict[str, Any]) -> list[Place]:
        """Add fields that no format knows: intake keeps them in `attributes`."""
        value["audit_note"] = ""
        value["audit_details"] = {"notes": [{"text": ""}]}
        return [
            Place("unknown field", value, "audit_note"),
            Place("unknown nested field", value["audit_details"]["notes"][0], "text"),
        ]


def _json_inside(text: str) -> Any:
    if text[:1] not in ("{", "["):
        return None
    try:
        inner = json.loads(text)
    except ValueError:
        return None
    return inner if isinstance(inner, dict | list) else None

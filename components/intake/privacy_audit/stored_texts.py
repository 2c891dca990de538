"""All texts of a store's tables, JSON undone; and what stands behind each marker in them."""

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import pyarrow as pa

from flywheel.components.contracts.tables import TableName
from flywheel.components.intake.privacy_audit.leaks import normal_form
from flywheel.components.store import delta_table
from flywheel.components.store.tables import SCHEMAS

_MARKER = re.compile(r"\bq(?:[aeiou][bdfgklmnprtvz]){6}\b")
_PIECE = 8  # bytes of a normal form that are looked up at once


def texts_of(store: str) -> Iterator[str]:
    """Yield every text in every table, those inside JSON one by one.

    Raises:
        StoreError: A table cannot be read.
    """
    for table in get_args(TableName):
        if not delta_table.exists(store, table):
            continue
        columns = [field.name for field in SCHEMAS[table] if pa.types.is_string(field.type)]
        for batch in delta_table.batches(delta_table.latest(store, table), columns):
            for column in columns:
                for text in batch[column].to_pylist():
                    if text:
                        yield from _leaves(text)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value[:1] in ("{", "["):
            try:
                inner = json.loads(value)
            except ValueError:
                inner = None
            if isinstance(inner, dict | list):
                yield from _leaves(inner)
                return
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


class StoredTexts:
    """The texts, and the places of the markers.

    Args:
        texts: All of them.
    """

    def __init__(self, texts: Iterator[str]) -> None:
        self._behind: dict[str, list[str]] = {}
        forms: list[str] = []
        for text in texts:
            marks = list(_MARKER.finditer(text))
            for number, mark in enumerate(marks):
                end = marks[number + 1].start() if number + 1 < len(marks) else len(text)
                self._behind.setdefault(mark.group(), []).append(text[mark.end() : end].strip("\n"))
            forms.append(normal_form(text))
        self._forms = "\n".join(forms)
        raw = np.frombuffer(self._forms.encode(), np.uint8)
        pieces = (
            np.lib.stride_tricks.sliding_window_view(raw, _PIECE) if len(raw) >= _PIECE else raw[:0].reshape(0, _PIECE)
        )
        self._pieces = np.unique(np.ascontiguousarray(pieces).view(np.uint64).ravel())

    def behind(self, marker: str) -> list[str]:
        """Return what stands behind a marker, up to the next: once for each place where the text was kept."""
        return self._behind.get(marker, [])

    def holding(self, values: list[str]) -> list[bool]:
        """Whether the normal form of each value is in the tables, whatever stands near; never of short ones."""
        forms = [normal_form(value) for value in values]
        heads = [form.encode()[:_PIECE].ljust(_PIECE, b"\0") for form in forms]
        there = np.isin(np.frombuffer(b"".join(heads), np.uint64), self._pieces)
        return [
            bool(hit) and len(form) >= _PIECE and form in self._forms for form, hit in zip(forms, there, strict=True)
        ]

"""Who gave each correction to each question."""

from collections.abc import Iterable
from datetime import datetime
from typing import Self

import numpy as np

from flywheel.components.curation.preferences.answers import Question, Row
from flywheel.components.curation.preferences.spilled_records import SpilledRecords
from flywheel.components.curation.texts.digests import SIZE, digest

_COLUMNS = ("subject", "feedback_id", "timestamp", "interaction_id")


class Supporters:
    """Corrections by question and normal form, on disk; in memory lie 28 bytes for each. Use it in a `with` statement.

    `add` everything, then `finish`, then ask.
    """

    def __init__(self) -> None:
        self._rows = SpilledRecords()
        self._keys = bytearray()
        self._order = np.zeros(0, dtype=np.int32)
        self._sorted = _array(b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.__exit__()

    def add(self, keys: Iterable[bytes], rows: Iterable[Row]) -> None:
        """Add corrections, in any order.

        Args:
            keys: `key_of` each.
            rows: Of each subject, feedback_id, timestamp and interaction_id.
        """
        self._rows.append({name: row[name] for name in _COLUMNS} for row in rows)
        self._keys += b"".join(keys)

    def finish(self) -> Self:
        """End the writing."""
        self._rows.finish()
        keys = _array(self._keys)
        self._order = np.argsort(keys, kind="stable").astype(np.int32)
        self._sorted = keys[self._order]
        self._keys = bytearray()
        return self

    def of(self, key: bytes) -> dict[str, str]:
        """Subject -> feedback row of everyone who gave this correction to this question: the first of each."""
        begin, end = (int(np.searchsorted(self._sorted, _array(key), side=side)[0]) for side in ("left", "right"))
        found: dict[str, str] = {}
        for row in sorted(self._rows.stream(self._order[begin:end]), key=_when):
            found.setdefault(row["subject"], row["feedback_id"])
        return found


def key_of(question: Question, form: str) -> bytes:
    """What a correction is known by, 16 bytes.

    Args:
        question: What it was given to.
        form: Its normal form.
    """
    return digest((*question, form))


def _array(keys: bytes | bytearray) -> np.ndarray:
    return np.frombuffer(keys, dtype=f"V{SIZE}")


def _when(row: Row) -> tuple[datetime, str]:
    return datetime.fromisoformat(row["timestamp"]), row["interaction_id"]

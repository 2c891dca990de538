"""Records on disk that are read again by number, in any order."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import numpy as np
import orjson

from flywheel.components.curation.duplicates.spilled_texts import SpilledTexts

_RECORDS = 4096  # looked up at once
_BYTES = 1 << 20  # of JSON that are read at once, and one record beyond


class SpilledRecords:
    """Records as JSON in a temporary file; in memory lie 12 bytes for each. Use it in a `with` statement."""

    def __init__(self) -> None:
        self._texts = SpilledTexts()
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._texts.__exit__()

    def __len__(self) -> int:
        return self._count

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add records of JSON values and times behind those that are there; not possible once `finish` was called."""
        texts = [orjson.dumps(record).decode() for record in records]
        self._texts.append(texts)
        self._count += len(texts)

    def finish(self) -> Self:
        """End the writing."""
        self._texts.finish()
        return self

    def stream(self, numbers: np.ndarray) -> Iterator[dict[str, Any]]:
        """The records of these numbers, in the order given; times come back as text."""
        for start in range(0, len(numbers), _RECORDS):
            some = numbers[start : start + _RECORDS]
            block = np.cumsum(self._texts.lengths[some], dtype=np.int64) // _BYTES
            for part in np.split(some, np.flatnonzero(np.diff(block)) + 1):
                yield from map(orjson.loads, self._texts.read(part))

"""Rows under decision: what the guards compare is in memory as columns, the texts lie on disk.

As Python's objects a row of 2 KB takes 10 KB; here it takes the room of its ids and numbers (about 400 bytes) in Arrow
columns, and 64 bytes for where its texts are.
"""

from abc import abstractmethod
from collections import ChainMap
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import Any, Self, cast, overload

import numpy as np
import pyarrow as pa

from flywheel.components.curation.duplicates.spilled_texts import SpilledTexts
from flywheel.components.curation.review import contents

Row = Mapping[str, Any]

_TEXTS = ("context", "prompt", "response", "correction")
_COLUMNS = (
    "interaction_id",
    "subject",
    "timestamp",
    "language",
    "question_id",
    "claim",
    "support",
    "supporters",
    "supported_at",
    "supporter_records",
    "supporter_activity",
    "endorsers",
    "askers",
    "silent_since",
    "category",
    "confidence",
    "held",
)


class Rows(Sequence[Row]):
    """Rows that are made when they are looked at."""

    @abstractmethod
    def row(self, index: int) -> Row:
        """The row of this index, 0 <= index < len(self)."""

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        places = range(len(self))[index]
        return self.row(places) if isinstance(places, int) else [self.row(place) for place in places]


class Candidates(Rows):
    """Classified rows with `decided`, what people said, and `content` (`review.contents`).

    Use it in a `with` statement.

    Args:
        schema: Columns of the file of `classify`.
    """

    def __init__(self, schema: pa.Schema) -> None:
        fields = [schema.field(name) for name in _COLUMNS if name in schema.names]
        self._schema = pa.schema([*fields, ("decided", pa.string()), ("content", pa.string())])
        self._batches: list[pa.RecordBatch] = []
        self._texts = SpilledTexts()
        self.columns = self._schema.empty_table()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._texts.__exit__(*error)

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Put rows behind those that are there; not possible once `finish` was called."""
        self._texts.append([row[name] or "" for row in rows for name in _TEXTS])
        content = [contents.of_row(row) for row in rows]
        columns = [content if name == "content" else [row[name] for row in rows] for name in self._schema.names]
        arrays = [pa.array(values, field.type) for values, field in zip(columns, self._schema, strict=True)]
        self._batches.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))

    def finish(self) -> Self:
        """End the writing: from now on the rows can be read."""
        self._texts.finish()
        self.columns = pa.Table.from_batches(self._batches, self._schema).combine_chunks()
        self._batches = []
        return self

    def __len__(self) -> int:
        return self.columns.num_rows

    def row(self, index: int) -> Row:
        """A row that reads its texts from the disk when it is asked for them."""
        return _Candidate(self, index)

    def value(self, name: str, index: int) -> Any:
        """One value of a row."""
        if name in _TEXTS:
            return self._texts.read(np.array([len(_TEXTS) * index + _TEXTS.index(name)]))[0]
        return self.columns[name][index].as_py()


class _Candidate(Mapping[str, Any]):
    __slots__ = ("_index", "_of")

    def __init__(self, of: Candidates, index: int) -> None:
        self._of, self._index = of, index

    def __getitem__(self, name: str) -> Any:
        return self._of.value(name, self._index)

    def __iter__(self) -> Iterator[str]:
        return iter((*_TEXTS, *self._of.columns.column_names))

    def __len__(self) -> int:
        return len(_TEXTS) + self._of.columns.num_columns


class Decided(Rows):
    """Rows with candidate_id, language, route and reason: everything is accepted until something speaks against it.

    Attributes:
        rows: The rows without.
        language: Of each row.
        route: Of each row.
        reason: Of each row.
        chance: Number of each row's draw for the audit (`audit.chance`), float64.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.language = [""] * len(rows)
        self.route = ["accept"] * len(rows)
        self.reason = [""] * len(rows)
        self.chance = np.zeros(len(rows))
        self._ids = bytearray()

    def name(self, candidate_id: str) -> None:
        """Name the next row."""
        self._ids += bytes.fromhex(candidate_id)

    def id(self, index: int) -> str:
        """The name of a row."""
        return self._ids[16 * index : 16 * index + 16].hex()

    def settle(self, index: int, route: str, reason: str) -> None:
        """Decide on a row."""
        self.route[index], self.reason[index] = route, reason

    def __len__(self) -> int:
        return len(self.rows)

    def row(self, index: int) -> Row:
        """The row as it stands."""
        said = {
            "candidate_id": self.id(index),
            "language": self.language[index],
            "route": self.route[index],
            "reason": self.reason[index],
        }
        return ChainMap(said, cast(MutableMapping[str, Any], self.rows[index]))  # nobody writes to it


class Picked(Rows):
    """Some rows of others.

    Attributes:
        places: Their indices there.
    """

    def __init__(self, rows: Decided, places: Sequence[int]) -> None:
        self._rows = rows
        self.places = places

    def __len__(self) -> int:
        return len(self.places)

    def row(self, index: int) -> Row:
        """The row as it stands."""
        return self._rows.row(self.places[index])


class Names(Sequence[str]):
    """Candidate ids of some rows."""

    def __init__(self, rows: Decided, places: Sequence[int]) -> None:
        self._rows, self._places = rows, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        places = self._places[index]
        return self._rows.id(places) if isinstance(places, int) else [self._rows.id(place) for place in places]

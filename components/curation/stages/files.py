"""Rows between two stages: Parquet files.

What a later stage needs besides rows (the feedback snapshot, the calibration) travels in the file's schema metadata, so
that a stage can run again alone. A file is written and read group by group, so that memory need not hold its texts.
"""

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_KEY = b"flywheel.curation"
_GROUP = 4 << 20  # bytes of a group's rows in memory: what a writer collects, and what a reader unpacks
_ROWS = 512  # of a batch that is read
_BUFFER = 1 << 16  # bytes that are read of a column at a time


class RowWriter:
    """Writes rows in groups; what is given in small pieces waits for a group of `_GROUP` bytes."""

    def __init__(self, file: pq.ParquetWriter) -> None:
        self._file = file
        self._waiting: list[pa.Table] = []
        self._bytes = 0

    def write(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Add rows with the columns of the file, behind those that are there."""
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows])
        table = table.replace_schema_metadata(None)
        each = max(1, table.nbytes // max(1, table.num_rows))
        start = 0
        while start < table.num_rows:
            piece = table.slice(start, max(1, (_GROUP - self._bytes) // each))
            self._waiting.append(piece)
            self._bytes += piece.num_rows * each
            start += piece.num_rows
            if self._bytes + each > _GROUP:
                self.flush()

    def flush(self) -> None:
        """Write what waits as a group of its own."""
        if self._waiting:
            rows = pa.concat_tables(self._waiting)
            self._waiting, self._bytes = [], 0
            self._file.write_table(rows, row_group_size=max(1, rows.num_rows))


@contextmanager
def writer(path: str, schema: pa.Schema, notes: dict[str, Any]) -> Iterator[RowWriter]:
    """Write a Parquet file piece by piece, so that a reader sees no file or the whole file.

    Args:
        path: File to write; it appears when the block ends, and not at all when the block raises.
        schema: Columns.
        notes: JSON values for a later stage.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(handle)
    try:
        with pq.ParquetWriter(temporary, schema.with_metadata({_KEY: json.dumps(notes).encode()})) as file:
            rows = RowWriter(file)
            yield rows
            rows.flush()
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write(table: pa.Table, path: str, notes: dict[str, Any]) -> None:
    """Write a Parquet file with notes, so that a reader sees no file or the whole file."""
    with writer(path, table.schema, notes) as rows:
        rows.write(table)


@dataclass(frozen=True)
class StageFile:
    """A file of the stage before, whose rows are still on disk.

    Attributes:
        path: Parquet file.
        schema: Its columns, without the notes.
        rows: Number of rows.
        notes: What came with them.
    """

    path: str
    schema: pa.Schema
    rows: int
    notes: dict[str, Any]

    def batches(self, columns: Sequence[str] | None = None, rows: int = _ROWS) -> Iterator[pa.RecordBatch]:
        """Stream the rows in their order; in memory lies one group of the file.

        Args:
            columns: Columns wanted, in this order; None for all.
            rows: Most rows of a batch.
        """
        names = list(columns) if columns is not None else self.schema.names
        with pq.ParquetFile(self.path, buffer_size=_BUFFER, pre_buffer=False) as file:
            for batch in file.iter_batches(rows, columns=names, use_threads=False):
                yield batch.select(names).replace_schema_metadata(None)

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows in memory."""
        names = list(columns) if columns is not None else self.schema.names
        with pq.ParquetFile(self.path) as file:
            return file.read(names).select(names).replace_schema_metadata(None)


def find(path: str, *needed: str) -> StageFile:
    """Open a file of the stage before and read its notes.

    Args:
        path: Parquet file.
        needed: Names of notes that must be there, besides `snapshot` and `median_activity`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not one of the stage before.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist; run the curation step before this one first")
    try:
        with pq.ParquetFile(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} is not a Parquet file of curation: {error}") from error
    notes = json.loads((schema.metadata or {}).get(_KEY, b"{}"))
    missing = [name for name in ("snapshot", "median_activity", *needed) if name not in notes]
    if missing:
        raise ValueError(f"{path} was not written by the curation step before this one: it lacks {', '.join(missing)}")
    return StageFile(path, schema.remove_metadata(), rows, notes)


def read(path: str, *needed: str) -> tuple[pa.Table, dict[str, Any]]:
    """Read a file of the stage before and its notes.

    Args:
        path: Parquet file.
        needed: Names of notes that must be there, besides `snapshot` and `median_activity`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not one of the stage before.
    """
    file = find(path, *needed)
    return file.table(), file.notes

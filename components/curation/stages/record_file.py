"""Records in a Parquet file or in JSON lines, read in batches, so that memory does not grow with their number."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.json as pa_json
import pyarrow.parquet as pq

_ROWS = 16_384  # of Parquet read at once
_SHOWN = 1 << 26  # bytes of JSON that the types of its columns are told by
_READ = 1 << 22  # bytes of JSON read at once; more where a record is longer


class RecordFile:
    """A file of records.

    Attributes:
        path: Path.
        schema: Columns; of JSON lines those of the records in the first 64 MiB, others are not read.
    """

    def __init__(self, path: str) -> None:
        """Look at a file.

        Args:
            path: Path of a Parquet file or of JSON lines.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is neither.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"there is no file of records {path}")
        self.path = path
        with Path(path).open("rb") as file:
            self._parquet = file.read(4) == b"PAR1"
            file.seek(0)
            try:
                self.schema = pq.read_schema(path) if self._parquet else _schema(file)
            except pa.ArrowInvalid as error:
                raise ValueError(f"{path} is neither Parquet nor JSON lines: {error}") from error

    def batches(self, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
        """Read from the first record to the last.

        Args:
            columns: Columns wanted, in this order; None for all.

        Yields:
            Batches of at most a few thousand records.

        Raises:
            ValueError: The file cannot be read to its end.
        """
        names = self.schema.names if columns is None else columns
        schema = pa.schema([self.schema.field(name) for name in names], self.schema.metadata)
        try:
            yield from self._rows(schema) if self._parquet else self._lines(schema)
        except pa.ArrowInvalid as error:
            raise ValueError(
                f"{self.path} cannot be read to its end: {error}; a column of JSON lines has one type throughout, that "
                f"of the first {_SHOWN >> 20} MiB; Parquet has no such limit"
            ) from error

    def _rows(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(self.path, buffer_size=_READ, pre_buffer=False) as file:
            for batch in file.iter_batches(_ROWS, columns=list(dict.fromkeys(schema.names)), use_threads=False):
                yield pa.RecordBatch.from_arrays([batch[name] for name in schema.names], schema=schema)

    def _lines(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        how = pa_json.ParseOptions(
            explicit_schema=pa.schema({field.name: field for field in schema}.values()),
            unexpected_field_behavior="ignore",
        )
        with Path(self.path).open("rb") as file:
            while lines := _whole_lines(file, _READ):
                if lines.strip():
                    for batch in _parsed(lines, how).combine_chunks().to_batches():
                        yield pa.RecordBatch.from_arrays([batch[name] for name in schema.names], schema=schema)


def _schema(file: BinaryIO) -> pa.Schema:
    """Columns and types of the first records."""
    found: list[pa.Schema] = []
    try:
        while file.tell() < _SHOWN and (lines := _whole_lines(file, _READ)):
            if lines.strip():
                found.append(_parsed(lines).schema)
        return pa.unify_schemas(found) if found else _parsed(b"").schema
    except pa.ArrowTypeError:  # the parts read differently, as dates and words, or numbers and none in a list
        file.seek(0)
        return _parsed(_whole_lines(file, _SHOWN)).schema


def _parsed(lines: bytes, how: pa_json.ParseOptions | None = None) -> pa.Table:
    return pa_json.read_json(BytesIO(lines), pa_json.ReadOptions(False, len(lines) + 1), how)


def _whole_lines(file: BinaryIO, size: int) -> bytes:
    """The next lines of about so many bytes together, at least one; empty at the end."""
    return file.read(size) + file.readline()

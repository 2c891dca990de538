"""Rows of a table that are read again in batches, from a file on disk: in memory lies one batch at a time."""

import tempfile
from collections.abc import Iterator, Sequence
from typing import Self

import pyarrow as pa

ROWS, BYTES = 2048, 1 << 20  # of a batch, at most


class SpilledRows:
    """Rows in a temporary file that is gone when the process ends, however it ends; use it in a `with` statement.

    The file is read as any other, not through a memory map, so that what was read does not count as memory of the
    process.

    Attributes:
        schema: Of the rows.
        num_rows: How many were appended.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self.num_rows = 0
        self._file = tempfile.TemporaryFile(prefix="flywheel-rows-")  # noqa: SIM115 - see __exit__
        self._writer = pa.ipc.new_file(pa.PythonFile(self._file, "w"), schema)
        self._written = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        self._file.close()

    def append(self, rows: pa.Table) -> None:
        """Add rows behind those that are there, in batches of bounded size; not possible once they were read."""
        if self._written:
            raise ValueError("rows were read already; no more can be added")
        self.num_rows += rows.num_rows
        each = max(1, rows.nbytes // max(1, rows.num_rows))
        self._writer.write_table(rows, max_chunksize=max(1, min(ROWS, BYTES // each)))

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The rows in their order, batch by batch.

        Args:
            columns: Columns wanted, in this order; None for all.
        """
        if not self._written:
            self._writer.close()
            self._file.flush()
            self._written = True
        names = list(self.schema.names if columns is None else columns)
        options = pa.ipc.IpcReadOptions(included_fields=[self.schema.get_field_index(name) for name in names])
        reader = pa.ipc.open_file(pa.PythonFile(self._file, "r"), options=options)
        for number in range(reader.num_record_batches):
            yield pa.Table.from_batches([reader.get_batch(number)]).select(names)

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows at once, in memory."""
        names = list(self.schema.names if columns is None else columns)
        empty = self.schema.empty_table().select(names)
        return pa.concat_tables([empty, *self.batches(names)])

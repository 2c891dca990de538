"""Read the files of a table on this machine, one piece after the other.

deltalake's engine reads ahead: a scan of 60,000 interactions holds 80 MiB more than it gives out. From a file on this
machine pyarrow reads what the next batch needs. What only the engine understands (rows that another file deletes,
renamed columns, partitions, object stores) is left to it.
"""

import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler

from flywheel.components.contracts.tables import TableName
from flywheel.components.store.errors import StoreError
from flywheel.components.store.location import local_folder

_BUFFER = 1 << 16  # bytes that are read of a column at a time
_BEYOND_FILES = frozenset(("deletionVectors", "columnMapping"))


def beyond_files(delta: DeltaTable) -> list[str]:
    """Features of an open table by which its files do not say all about its rows."""
    return sorted(_BEYOND_FILES.intersection(delta.protocol().reader_features or ()))


def names(delta: DeltaTable) -> list[str]:
    """Names of the files of an open version, in the table's folder."""
    return [urllib.parse.unquote(uri.rsplit("/", 1)[-1]) for uri in delta.file_uris()]


def remote(delta: DeltaTable) -> pafs.PyFileSystem:
    """The table's folder in its object store, opened with the options that the table was opened with."""
    return pafs.PyFileSystem(DeltaStorageHandler.from_table(delta._table))


def plain_files(delta: DeltaTable, store: str, table: TableName) -> list[Path] | None:
    """The files that say all about the rows of an open version; None where only the engine can tell.

    Args:
        delta: The table, open.
        store: Local folder or object-store URI.
        table: Name of the table.
    """
    folder = local_folder(store)
    if folder is None or delta.metadata().partition_columns or beyond_files(delta):
        return None
    paths = [folder / table / name for name in names(delta)]
    return paths if all(path.is_file() for path in paths) else None


def batches(paths: Sequence[Path], schema: pa.Schema, rows: int) -> Iterator[pa.RecordBatch]:
    """Stream the rows of files.

    Args:
        paths: Of `plain_files`.
        schema: Columns wanted; one that a file does not have yet is empty there.
        rows: Most rows of a batch.

    Raises:
        StoreError: A file cannot be read.
    """
    for path in paths:
        try:
            with pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False) as file:
                there = [name for name in schema.names if name in file.schema_arrow.names]
                for batch in file.iter_batches(rows, columns=there, use_threads=False):
                    columns = [
                        batch[field.name].cast(field.type) if field.name in there else pa.nulls(len(batch), field.type)
                        for field in schema
                    ]
                    yield pa.RecordBatch.from_arrays(columns, schema=schema)
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"cannot read file {path}: {error}") from error

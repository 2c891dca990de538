"""Write one Parquet file of a Delta table and commit it in one version of the table.

pyarrow writes the file and deltalake commits it: deltalake's own writer sends the rows through a query engine, holds
the whole file until it is written, and takes half again the CPU time (measured with `scripts/bench curation`). It is
asked where a table has rules that a file alone does not keep.
"""

import json
import math
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, write_deltalake
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction

from flywheel.components.contracts.tables import TableName
from flywheel.components.store import data_files
from flywheel.components.store.location import local_folder
from flywheel.components.store.tables import ID_COLUMN, SCHEMAS

# Ids and texts hardly repeat: a dictionary of them is thrown away when its page is full, after a third of the CPU of a
# write went into it. And nobody asks for the texts from "a" to "b": without statistics the log of the table holds no
# beginnings of texts.
_TEXTS = frozenset(("messages", "prompt", "response", "correction", "text", "attributes", "row", "record"))
_RULES = ("delta.constraints.", "delta.columnMapping.")
_LONGEST_BOUND = 64  # characters: longer ones tell a reader little and make the log long


def add(
    delta: DeltaTable,
    store: str,
    table: TableName,
    rows: Iterable[pa.Table],
    how: CommitProperties,
    after: PostCommitHookProperties,
) -> None:
    """Write rows into a new file and commit it; whatever fails before the commit leaves no file behind.

    Args:
        delta: The table, open; left at the version that holds the rows.
        store: Local folder or object-store URI.
        table: Name of the table.
        rows: Rows with the table's schema; each element becomes a row group and may be forgotten then.
        how: Properties of the commit.
        after: What is done after it.

    Raises:
        CommitFailedError: Another writer was first.
        DeltaError: The commit failed.
        OSError: The file cannot be written.
    """
    if _asks_for_more(delta):
        batches = (batch for group in rows for batch in group.to_batches())
        write_deltalake(
            delta,
            pa.RecordBatchReader.from_batches(SCHEMAS[table], batches),
            mode="append",
            commit_properties=how,
            post_commithook_properties=after,
        )
        return
    name = f"part-00000-{uuid.uuid4()}-c000.snappy.parquet"
    folder = local_folder(store)
    remote = None if folder is not None else data_files.remote(delta)
    path = name if folder is None else str(folder / table / name)

    def remove() -> None:
        with suppress(OSError):  # a file that no version names costs room only; why it was to go matters more
            if remote is None:
                Path(path).unlink(missing_ok=True)
            elif remote.get_file_info(path).type == pafs.FileType.File:
                remote.delete_file(path)

    try:
        with open(path, "wb") if remote is None else remote.open_output_stream(path) as stream:
            written = _write(stream, table, rows)
            size = stream.tell()
    except BaseException:
        remove()
        raise
    action = AddAction(name, size, {}, time.time_ns() // 1_000_000, True, json.dumps(statistics(written)))
    try:
        delta.create_write_transaction(
            [action], "append", SCHEMAS[table], commit_properties=how, post_commithook_properties=after
        )
    except CommitFailedError:  # after any other error the table may refer to the file
        remove()
        raise
    delta.update_incremental()


def _asks_for_more(delta: DeltaTable) -> bool:
    """Whether somebody gave the table constraints, partitions or the like, which deltalake's own writer keeps."""
    metadata = delta.metadata()
    return bool(
        metadata.partition_columns
        or any(name.startswith(_RULES) for name in metadata.configuration)
        or any(field.metadata for field in delta.schema().fields)
    )


def _write(stream: IO[bytes], table: TableName, rows: Iterable[pa.Table]) -> pq.FileMetaData:
    plain = {ID_COLUMN[table], *_TEXTS}
    repeated = [name for name in SCHEMAS[table].names if name not in plain]
    told = [name for name in SCHEMAS[table].names if name not in _TEXTS]
    written: list[pq.FileMetaData] = []
    with pq.ParquetWriter(
        stream,
        SCHEMAS[table],
        compression="snappy",
        use_dictionary=repeated,
        write_statistics=told,
        metadata_collector=written,
    ) as file:
        for group in rows:
            file.write_table(group)
    return written[0]


def statistics(file: pq.FileMetaData) -> dict[str, Any]:
    """Return what the log of a Delta table says of a file, by which readers leave out files without opening them.

    Args:
        file: A file's own metadata.

    Returns:
        `numRecords`, and for the columns of which every row group says it `nullCount`, `minValues` and `maxValues`, as
        in "Per-file Statistics" of the Delta Lake protocol.
    """
    nulls: dict[str, int] = {}
    least: dict[str, Any] = {}
    most: dict[str, Any] = {}
    filled = [group for group in map(file.row_group, range(file.num_row_groups)) if group.num_rows]
    for place, name in enumerate(file.schema.names):
        groups = [group.column(place).statistics for group in filled]
        if not groups or not all(group is not None and group.has_null_count for group in groups):
            continue
        nulls[name] = sum(group.null_count for group in groups)
        bounded = [group for group in groups if group.num_values]  # the others hold nulls only
        if bounded and all(group.has_min_max for group in bounded):
            bounds = min(group.min for group in bounded), max(group.max for group in bounded)
            if all(map(_can_be_bound, bounds)):
                least[name], most[name] = map(_bound, bounds)
    return {"numRecords": file.num_rows, "minValues": least, "maxValues": most, "nullCount": nulls}


def _can_be_bound(value: Any) -> bool:
    """Whether all readers take it: they know no bounds of booleans, and JSON knows no infinity."""
    if isinstance(value, str):
        return len(value) <= _LONGEST_BOUND
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int | datetime) and not isinstance(value, bool)


def _bound(value: Any) -> Any:
    return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z" if isinstance(value, datetime) else value

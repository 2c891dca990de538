"""Append rows that memory cannot hold, in one version of a table all the same."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties
from deltalake.exceptions import CommitFailedError
from deltalake.fs import DeltaStorageHandler
from deltalake.transaction import AddAction

from flywheel.components.contracts.tables import TableName
from flywheel.components.store import delta_table
from flywheel.components.store.location import local_folder
from flywheel.components.store.tables import ID_COLUMN, SCHEMAS

_GROUP = 4 << 20  # bytes of rows that are packed together


def append(
    store: str, table: TableName, ids: pa.Array, rows: Callable[[], Iterator[pa.RecordBatch]], batch: str
) -> delta_table.Appended:
    """Add the rows whose id is not in the table yet, as `delta_table.append`.

    In memory lie the ids, one batch and one group of rows.

    Args:
        store: Local folder or object-store URI.
        table: Name of the table.
        ids: Ids of the rows.
        rows: Gives the rows with the table's schema, in the order of the ids; asked anew when another writer was first.
        batch: Name of the batch.

    Returns:
        The table version that holds all the rows, and how many were new.

    Raises:
        StoreError: The table cannot be written.
    """
    delta = delta_table.open_version(store, table, create=True)
    if not len(ids):
        return delta_table.Appended(delta_table.latest(store, table), 0, 0)
    first = np.ones(len(ids), bool)
    if pc.count_distinct(ids).as_py() < len(ids):
        first[:] = False
        first[np.unique(ids.to_numpy(zero_copy_only=False).astype(str), return_index=True)[1]] = True

    def write(wanted: pa.Array | None, how: CommitProperties, after: PostCommitHookProperties) -> None:
        kept = first.copy()
        if wanted is not None:
            kept[first] = wanted.to_numpy(zero_copy_only=False)
        _write(delta, store, table, _only(rows(), kept), how, after)

    named = ids.filter(pa.array(first))
    return delta_table.commit(delta, store, table, named, write, batch, delta_table.there_are, len(ids))


def _write(
    delta: DeltaTable,
    store: str,
    table: TableName,
    batches: Iterator[pa.RecordBatch],
    how: CommitProperties,
    after: PostCommitHookProperties,
) -> None:
    """Write a file of the table and commit it; deltalake's own writer holds the whole file until it is written."""
    name = f"part-00000-{uuid.uuid4()}-c000.snappy.parquet"
    folder = local_folder(store)
    remote = None if folder is not None else pafs.PyFileSystem(DeltaStorageHandler.from_table(delta._table))
    path = name if folder is None else str(folder / table / name)

    def remove() -> None:
        if remote is None:
            Path(path).unlink(missing_ok=True)
        elif remote.get_file_info(path).type == pafs.FileType.File:
            remote.delete_file(path)

    try:
        with open(path, "wb") if remote is None else remote.open_output_stream(path) as stream:
            written = _write_rows(stream, table, batches)
            size = stream.tell()
    except BaseException:
        remove()
        raise
    action = AddAction(name, size, {}, time.time_ns() // 1_000_000, True, json.dumps({"numRecords": written}))
    try:
        delta.create_write_transaction(
            [action], "append", SCHEMAS[table], commit_properties=how, post_commithook_properties=after
        )
    except CommitFailedError:  # after any other error the table may refer to the file
        remove()
        raise
    delta.update_incremental()


def _write_rows(stream: IO[bytes], table: TableName, batches: Iterator[pa.RecordBatch]) -> int:
    """Write the rows group by group; returns how many."""
    plain = {ID_COLUMN[table], *delta_table.TEXTS}
    repeated = [name for name in SCHEMAS[table].names if name not in plain]
    told = [name for name in SCHEMAS[table].names if name not in delta_table.TEXTS]
    waiting: list[pa.RecordBatch] = []
    written = held = 0
    with pq.ParquetWriter(
        stream, SCHEMAS[table], compression="snappy", use_dictionary=repeated, write_statistics=told
    ) as file:
        for batch in chain(batches, [None]):
            if batch is not None:
                waiting.append(batch)
                held += batch.nbytes
                written += batch.num_rows
            if waiting and (batch is None or held >= _GROUP):
                file.write_table(pa.Table.from_batches(waiting))
                waiting, held = [], 0
    return written


def _only(batches: Iterator[pa.RecordBatch], kept: np.ndarray) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in batches:
        mask = kept[start : start + batch.num_rows]
        start += batch.num_rows
        if mask.any():
            yield batch if mask.all() else batch.filter(pa.array(mask))
    if start != len(kept):
        raise ValueError(f"{len(kept)} ids came with {start} rows")

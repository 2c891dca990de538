"""Append rows that memory cannot hold, in one version of a table all the same."""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, PostCommitHookProperties

from flywheel.components.contracts.tables import TableName
from flywheel.components.store import delta_table, table_file

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
        table_file.add(delta, store, table, _groups(_only(rows(), kept)), how, after)

    named = ids.filter(pa.array(first))
    return delta_table.commit(delta, store, table, named, write, batch, delta_table.there_are, len(ids))


def _groups(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    held = 0
    for batch in batches:
        waiting.append(batch)
        held += batch.nbytes
        if held >= _GROUP:
            yield pa.Table.from_batches(waiting)
            waiting, held = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting)


def _only(batches: Iterator[pa.RecordBatch], kept: np.ndarray) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in batches:
        mask = kept[start : start + batch.num_rows]
        start += batch.num_rows
        if mask.any():
            yield batch if mask.all() else batch.filter(pa.array(mask))
    if start != len(kept):
        raise ValueError(f"{len(kept)} ids came with {start} rows")

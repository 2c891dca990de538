"""Append rows that memory cannot hold, in one version of a table all the same."""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from flywheel.components.contracts.tables import TableName
from flywheel.components.store import delta_table
from flywheel.components.store.tables import SCHEMAS

_GROUP = 1024  # rows that the writer packs together: it holds so many


def append(
    store: str, table: TableName, ids: pa.Array, rows: Callable[[], Iterator[pa.RecordBatch]], batch: str
) -> delta_table.Appended:
    """Add the rows whose id is not in the table yet, as `delta_table.append`; they may come out of their order.

    In memory lie the ids, one batch and one group of rows, and the packed file until it is written.

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
    _, firsts = np.unique(ids.to_numpy(zero_copy_only=False).astype(str), return_index=True)
    first = np.zeros(len(ids), bool)
    first[firsts] = True

    def new(wanted: pa.Array | None) -> pa.RecordBatchReader:
        kept = first.copy()
        if wanted is not None:
            kept[first] = wanted.to_numpy(zero_copy_only=False)
        return pa.RecordBatchReader.from_batches(SCHEMAS[table], _only(rows(), kept))

    writer = delta_table.writer_of(table, _GROUP)
    return delta_table.commit(
        delta, store, table, ids.filter(pa.array(first)), new, batch, delta_table.there_are, writer, len(ids)
    )


def _only(batches: Iterator[pa.RecordBatch], kept: np.ndarray) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in batches:
        mask = kept[start : start + batch.num_rows]
        start += batch.num_rows
        if mask.any():
            yield batch if mask.all() else batch.filter(pa.array(mask))
    if start != len(kept):
        raise ValueError(f"{len(kept)} ids came with {start} rows")

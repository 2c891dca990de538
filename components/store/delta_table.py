"""Append to and read from the store's Delta tables, such that a killed and repeated step changes nothing.

Every append is a compare-and-set on the table's version (`max_commit_retries=0`): a writer that lost the race looks at
the new version, leaves out the ids that are there by now, and tries again. So an id is in a table once.

Reading goes through deltalake's own engine: `to_pyarrow_dataset` (deltalake 1.6.6 with pyarrow 25) lets more than half
of the processes that used it abort at exit ("terminate called without an active exception"), which fails a KFP step.
"""

import hashlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import (
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    Transaction,
)
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from flywheel.components.contracts.tables import TableName, TableReference
from flywheel.components.store import data_files, table_file
from flywheel.components.store.errors import StoreError
from flywheel.components.store.location import local_folder, storage_options, table_uri
from flywheel.components.store.tables import ID_COLUMN, SCHEMAS

# Old versions must stay readable for ever: a dataset manifest names the version it was made from.
_KEEP_HISTORY: dict[str, str | None] = {
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}
_ATTEMPTS = 60
_ROWS = 1024  # of a batch that is read; the engine's own may have as many as a file


@dataclass(frozen=True)
class Appended:
    """What an append did; `inserted` + `already_there` = rows given."""

    reference: TableReference
    inserted: int
    already_there: int


def append(store: str, table: TableName, rows: pa.Table, batch: str) -> Appended:
    """Add the rows whose id is not in the table yet; of two rows with one id the first stays.

    Args:
        store: Local folder or object-store URI.
        table: Name of the table.
        rows: Rows with the table's columns, in any order.
        batch: Name of the batch; kept with its rows' ids in the Delta log as an application transaction, so that a
            batch that was written is recognised without reading the table.

    Returns:
        The table version that holds all the rows, and how many were new. Nothing new: no new version.

    Raises:
        StoreError: Columns are missing, unknown, of a wrong type or empty where they may not be; or the table cannot
            be written.
    """
    return append_to(open_version(store, table, create=True), store, table, rows, batch, there_are)


def append_to(
    delta: DeltaTable,
    store: str,
    table: TableName,
    rows: pa.Table,
    batch: str,
    there: Callable[[DeltaTable, pa.Array], pa.Array],
) -> Appended:
    """Append to an open table, as `append`; `delta` is left at the version that holds the rows.

    Args:
        delta: The table, open; when another writer was first, it is brought to the newest version.
        store: Local folder or object-store URI.
        table: Name of the table.
        rows: Rows with the table's columns, in any order.
        batch: Name of the batch.
        there: Tells which of the given ids the open version holds.

    Raises:
        StoreError: As `append`.
    """
    rows = _conform(table, rows)
    given = rows.num_rows
    if given == 0:
        return Appended(_reference(store, table, delta), 0, 0)
    rows = _first_of_each_id(rows, ID_COLUMN[table])
    ids = rows[ID_COLUMN[table]].combine_chunks()

    def write(wanted: pa.Array | None, how: CommitProperties, after: PostCommitHookProperties) -> None:
        table_file.add(delta, store, table, [rows if wanted is None else rows.filter(wanted)], how, after)

    return commit(delta, store, table, ids, write, batch, there, given)


def commit(
    delta: DeltaTable,
    store: str,
    table: TableName,
    ids: pa.Array,
    write: Callable[[pa.Array | None, CommitProperties, PostCommitHookProperties], None],
    batch: str,
    there: Callable[[DeltaTable, pa.Array], pa.Array],
    given: int,
) -> Appended:
    """Write rows that fit the table, in one version of it; as `append_to`, which says more.

    Args:
        delta: The table, open.
        store: Local folder or object-store URI.
        table: Name of the table.
        ids: Id of each row, each there once.
        write: Writes the rows that a mask over `ids` names, None for all; it is asked again when another was first.
        batch: Name of the batch.
        there: Tells which of the given ids the open version holds.
        given: Number of rows that the caller was given, for the count of those that are there already.

    Raises:
        StoreError: The table cannot be written.
    """
    transaction = f"{batch}-{_digest(ids)}"
    for attempt in range(_ATTEMPTS):
        if delta.transaction_version(transaction) is not None:
            return Appended(_reference(store, table, delta), 0, given)
        known = there(delta, ids)
        wanted = pc.invert(pc.is_in(ids, value_set=known)) if len(known) else None
        number = len(ids) if wanted is None else int(pc.sum(wanted).as_py())
        if number == 0:
            return Appended(_reference(store, table, delta), 0, given)
        try:
            how = CommitProperties(
                max_commit_retries=0,
                app_transactions=[Transaction(transaction, 1)],
                custom_metadata={"batch": batch},
            )
            write(wanted, how, PostCommitHookProperties(cleanup_expired_logs=False))
        except CommitFailedError:  # another writer was first
            time.sleep(random.uniform(0, 0.02 * (attempt + 1)))
            delta.update_incremental()
            continue
        except (DeltaError, OSError) as error:
            raise StoreError(f"cannot write table {table} of store {store}: {error}") from error
        return Appended(_reference(store, table, delta), number, given - number)
    raise StoreError(f"table {table} of store {store} was changed by others {_ATTEMPTS} times in a row; run again")


def _digest(ids: pa.Array) -> str:
    joined = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(ids)], pa.int32()), ids), "\n")[0]
    return hashlib.blake2b(joined.as_buffer(), digest_size=16).hexdigest()


def latest(store: str, table: TableName) -> TableReference:
    """Return a reference to the newest version of a table; an empty table is created when there is none.

    Raises:
        StoreError: The table cannot be opened or created.
    """
    return _reference(store, table, open_version(store, table, create=True))


def exists(store: str, table: TableName) -> bool:
    """Whether the store has this table already; creates nothing."""
    folder = local_folder(store)
    if folder is not None and not (folder / table / "_delta_log").is_dir():
        return False
    return bool(DeltaTable.is_deltatable(table_uri(store, table), storage_options()))


def read(reference: TableReference, columns: list[str] | None = None, where: pc.Expression | None = None) -> pa.Table:
    """Read a version of a table, sorted by id, so that the order does not depend on how the rows were batched.

    Args:
        reference: Store, table and version.
        columns: Columns wanted, in this order; None for all.
        where: Filter over any of the table's columns, as `pyarrow.compute.field("run_id") == "r1"`.

    Returns:
        The rows with the types of `tables.SCHEMAS`; if somebody else's writer doubled an id, the first row of it.

    Raises:
        StoreError: No such table, version or column.
    """
    id_column = ID_COLUMN[reference.table]
    wanted = _wanted(reference.table, columns)
    kept_names = sorted({*wanted, id_column})
    said = "" if where is None else str(where)  # names every column that the filter looks at
    needed = sorted({*kept_names, *(name for name in SCHEMAS[reference.table].names if name in said)})
    kept = []
    for part in batches(reference, needed):
        table = pa.Table.from_batches([part])
        kept.append((table if where is None else table.filter(where)).select(kept_names))
    schema = pa.schema([SCHEMAS[reference.table].field(name) for name in kept_names])
    rows = pa.concat_tables(kept) if kept else schema.empty_table()
    return _first_of_each_id(rows.sort_by(id_column), id_column).select(wanted)


def batches(reference: TableReference, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Stream a version of a table in bounded memory, in no particular order.

    Args:
        reference: Store, table and version.
        columns: Columns wanted; None for all.

    Yields:
        Record batches of `_ROWS` rows at most, with the types of `tables.SCHEMAS`.

    Raises:
        StoreError: No such table, version or column.
    """
    wanted = _wanted(reference.table, columns)
    schema = pa.schema([SCHEMAS[reference.table].field(name) for name in wanted])
    delta = open_version(reference.store, reference.table, create=False, version=reference.version)
    files = data_files.plain_files(delta, reference.store, reference.table)
    if files is not None:
        yield from data_files.batches(files, schema, _ROWS)
        return
    for batch in pa.RecordBatchReader.from_stream(delta.scan(columns=wanted)):
        for start in range(0, batch.num_rows, _ROWS):
            part = batch.slice(start, _ROWS).select(wanted)
            yield part.cast(schema)  # the engine answers with string views, which few readers know


def lookup(reference: TableReference, ids: list[str], columns: list[str]) -> pa.Table:
    """Read the rows with the given ids; when none is there, only the id column is read.

    Args:
        reference: Store, table and version.
        ids: Ids looked for; memory grows with them, not with the table.
        columns: Columns wanted.

    Raises:
        StoreError: No such table, version or column.
    """
    id_column = ID_COLUMN[reference.table]
    wanted = pa.array(ids, pa.string())
    schema = pa.schema([SCHEMAS[reference.table].field(name) for name in _wanted(reference.table, columns)])
    if not ids:
        return schema.empty_table()
    there = any(pc.any(pc.is_in(part[id_column], wanted)).as_py() for part in batches(reference, [id_column]))
    needed = sorted({*columns, id_column})
    kept = [part.filter(pc.is_in(part[id_column], wanted)) for part in (batches(reference, needed) if there else ())]
    rows = pa.Table.from_batches(kept) if kept else pa.schema(map(SCHEMAS[reference.table].field, needed)).empty_table()
    return _first_of_each_id(rows.sort_by(id_column), id_column).select(columns)


def count(reference: TableReference) -> int:
    """Return the number of rows in a version of a table."""
    delta = open_version(reference.store, reference.table, create=False, version=reference.version)
    return int(delta.count())


def open_version(store: str, table: TableName, *, create: bool, version: int | None = None) -> DeltaTable:
    """Open a table.

    Args:
        store: Local folder or object-store URI.
        table: Name of the table.
        create: Whether to make an empty table when there is none.
        version: Version; None for the newest.

    Raises:
        StoreError: The table cannot be opened or created.
    """
    uri, options = table_uri(store, table), storage_options()
    try:
        if create and not exists(store, table):
            DeltaTable.create(uri, SCHEMAS[table], mode="ignore", configuration=_KEEP_HISTORY, storage_options=options)
        return DeltaTable(uri, version=version, storage_options=options)
    except TableNotFoundError as error:
        raise StoreError(f"store {store} has no table {table}; run intake into this store first") from error
    except (DeltaError, OSError) as error:
        at = "" if version is None else f" at version {version}"
        raise StoreError(f"cannot open table {table}{at} of store {store}: {error}") from error


def _reference(store: str, table: TableName, delta: DeltaTable) -> TableReference:
    return TableReference(store=store, table=table, version=delta.version())


def _wanted(table: TableName, columns: list[str] | None) -> list[str]:
    known = SCHEMAS[table].names
    unknown = [name for name in columns or [] if name not in known]
    if unknown:
        raise StoreError(f"table {table} has no column {', '.join(unknown)}; it has {', '.join(known)}")
    return known if columns is None else list(columns)


def _conform(table: TableName, rows: pa.Table) -> pa.Table:
    schema = SCHEMAS[table]
    missing = [name for name in schema.names if name not in rows.column_names]
    unknown = [name for name in rows.column_names if name not in schema.names]
    if missing or unknown:
        raise StoreError(f"rows for table {table}: missing columns {missing}, unknown columns {unknown}")
    columns = []
    for field in schema:
        column = rows[field.name]
        if not field.nullable and column.null_count:
            raise StoreError(f"rows for table {table}: column {field.name} is empty in {column.null_count} rows")
        try:
            columns.append(column.cast(field.type))
        except pa.ArrowException as error:
            raise StoreError(f"rows for table {table}: column {field.name} is not {field.type}: {error}") from error
    return pa.Table.from_arrays(columns, schema=schema)


def _first_of_each_id(rows: pa.Table, id_column: str) -> pa.Table:
    if pc.count_distinct(rows[id_column]).as_py() == rows.num_rows:
        return rows
    numbered = pa.table({"id": rows[id_column], "row": pa.array(range(rows.num_rows))})
    firsts = numbered.group_by("id").aggregate([("row", "min")])["row_min"]
    return rows.take(firsts.sort())


def there_are(delta: DeltaTable, ids: pa.Array) -> pa.Array:
    """Which of the ids the open version holds; all of its ids are looked at."""
    id_column = delta.schema().fields[0].name  # every table's id comes first
    found = []
    for batch in pa.RecordBatchReader.from_stream(delta.scan(columns=[id_column])):
        there = batch.column(0).cast(pa.string())
        found.append(there.filter(pc.is_in(there, value_set=ids)))
    return pa.chunked_array(found, type=pa.string()).combine_chunks()

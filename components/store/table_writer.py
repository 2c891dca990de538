"""Write many batches to one table: what is there already is looked up in an index instead of the table.

The same compare-and-set as `delta_table.append`, so an id is in a table once, whoever else writes. The index is read
once, then follows the table's versions: files that others added are read, files that they took away start it anew.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable

from flywheel.components.contracts.tables import TableName, TableReference
from flywheel.components.store import data_files, delta_table
from flywheel.components.store.errors import StoreError
from flywheel.components.store.id_index import IdIndex, hashed
from flywheel.components.store.location import local_folder
from flywheel.components.store.tables import ID_COLUMN, SCHEMAS

_READERS = 8  # files read at a time: an object store answers slowly, but many questions at once


class TableWriter:
    """Appends to a table and looks up rows of it; memory is the index, 12 bytes for each row of the table.

    Args:
        store: Local folder or object-store URI.
        table: Name of the table; made when it is not there.

    Raises:
        StoreError: The table cannot be opened or created.
    """

    def __init__(self, store: str, table: TableName) -> None:
        self._store = store
        self._table = table
        self._id = ID_COLUMN[table]
        self._delta = delta_table.open_version(store, table, create=True)
        folder = local_folder(store)
        self._folder = None if folder is None else folder / table
        self._index = IdIndex()
        self._files: list[str] = []  # by number
        self._known: set[str] = set()
        self._version = -1
        self._asked = hashed([])  # ids last looked for, in which version, and the files that may hold one
        self._answered, self._found = -1, list[int]()

    def newest(self) -> TableReference:
        """Return a reference to the newest version of the table."""
        if self._moved():
            self._delta.update_incremental()
        return TableReference(store=self._store, table=self._table, version=self._delta.version())

    def may_hold_any(self, ids: Sequence[str]) -> bool:
        """Whether the newest version may hold one of the ids; if not, `lookup` finds none.

        Raises:
            StoreError: A file of the table cannot be read.
        """
        self.newest()
        self._follow()
        return bool(self._files_of(ids))

    def lookup(self, ids: Sequence[str], columns: list[str]) -> pa.Table:
        """Read the rows with the given ids from the newest version; only files that may hold one are opened.

        Args:
            ids: Ids looked for.
            columns: Columns wanted.

        Returns:
            The rows in no particular order; an id that somebody else's writer doubled has several.

        Raises:
            StoreError: A file of the table cannot be read.
        """
        self.newest()
        self._follow()
        schema = pa.schema([SCHEMAS[self._table].field(name) for name in columns])
        files = self._files_of(ids)
        if not files:
            return schema.empty_table()
        wanted = pa.array(ids, pa.string())
        found = [part for file in files for part in self._rows(self._files[file], wanted, columns)]
        return pa.Table.from_batches(found, schema)

    def append(self, rows: pa.Table, batch: str) -> delta_table.Appended:
        """Add the rows whose id is not in the table yet; as `delta_table.append`, which says more."""
        done = delta_table.append_to(self._delta, self._store, self._table, rows, batch, self._there)
        if done.inserted == rows.num_rows and self._delta.version() == self._version + 1:
            self._note()
        return done

    def _moved(self) -> bool:
        """Whether the table may have a newer version; a look at the folder costs a hundredth of asking Delta."""
        if self._folder is None:
            return True
        return (self._folder / "_delta_log" / f"{self._delta.version() + 1:020}.json").exists()

    def _note(self) -> None:
        """Follow a commit of our own, of all the ids last looked for, without reading its file again."""
        new = [name for name in data_files.names(self._delta) if name not in self._known]
        if len(new) == 1:
            self._index.add(self._asked, len(self._files))
            self._files.append(new[0])
            self._known.add(new[0])
            self._version = self._delta.version()

    def _there(self, delta: DeltaTable, ids: pa.Array) -> pa.Array:
        self._follow()
        found = [
            part[self._id]
            for file in self._files_of(ids.to_pylist())
            for part in self._rows(self._files[file], ids, [self._id])
        ]
        return pa.chunked_array(found, pa.string()).combine_chunks()

    def _files_of(self, ids: Sequence[str]) -> list[int]:
        """Files that may hold one of the ids; a lookup asks again what `may_hold_any` has just asked."""
        hashes = hashed(ids)
        if self._answered != self._version or not np.array_equal(hashes, self._asked):
            self._asked, self._answered = hashes, self._version
            self._found = sorted(self._index.files_of(hashes))
        return self._found

    def _follow(self) -> None:
        """Bring the index to the version of the table that is open."""
        if self._delta.version() == self._version:
            return
        _refuse_what_files_do_not_say(self._delta, self._store, self._table)
        now = set(data_files.names(self._delta))
        if not self._known <= now:  # compacted, or rows deleted
            self._index, self._files, self._known = IdIndex(), [], set()
        new = sorted(now - self._known)
        with ThreadPoolExecutor(_READERS) as pool:
            for name, ids in zip(new, pool.map(self._ids, new), strict=True):
                self._index.add(hashed(ids.to_pylist()), len(self._files))
                self._files.append(name)
        self._known = now
        self._version = self._delta.version()

    def _ids(self, name: str) -> pa.ChunkedArray:
        with self._open(name) as stream:
            return self._parquet(stream, name).read([self._id], use_threads=False)[self._id].cast(pa.string())

    def _rows(self, name: str, wanted: pa.Array, columns: list[str]) -> Iterator[pa.RecordBatch]:
        schema = pa.schema([SCHEMAS[self._table].field(column) for column in columns])
        with self._open(name) as stream:
            file = self._parquet(stream, name)
            for group in range(file.num_row_groups):
                ids = file.read_row_group(group, [self._id], use_threads=False)[self._id]
                mask = pc.is_in(ids.cast(pa.string()), wanted)
                if pc.any(mask).as_py():
                    rows = file.read_row_group(group, columns, use_threads=False)
                    yield from rows.select(columns).cast(schema).filter(mask).to_batches()

    def _open(self, name: str) -> BinaryIO:
        try:
            if self._folder is not None:
                return (self._folder / name).open("rb")
            return cast(BinaryIO, data_files.remote(self._delta).open_input_file(name))
        except (OSError, pa.ArrowException) as error:
            raise StoreError(
                f"cannot read file {name} of table {self._table} of store {self._store}: {error}"
            ) from error

    def _parquet(self, stream: BinaryIO, name: str) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(stream)
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"file {name} of table {self._table} of store {self._store} is broken: {error}") from error


def _refuse_what_files_do_not_say(delta: DeltaTable, store: str, table: TableName) -> None:
    strange = data_files.beyond_files(delta)
    if strange:
        raise StoreError(
            f"table {table} of store {store} uses {', '.join(strange)}, with which another program rewrote it; "
            "rewrite it without (`REORG TABLE ... APPLY (PURGE)`) or run intake into a new store"
        )

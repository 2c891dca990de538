"""Rows of a batch that are made and not written yet: a batch is made in parts, and one commit writes it."""

from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.contracts.tables import TableName
from flywheel.components.store.tables import ID_COLUMN, SCHEMAS


class WaitingRows:
    """Rows that wait for their commit; they are looked up as those of the table are.

    Args:
        table: Name of the table.
    """

    def __init__(self, table: TableName) -> None:
        self._schema = SCHEMAS[table]
        self._id = ID_COLUMN[table]
        self._parts: list[pa.Table] = []
        self._ids: set[str] = set()

    def add(self, rows: pa.Table, ids: Iterable[str]) -> None:
        """Let rows wait.

        Args:
            rows: Rows with the table's columns.
            ids: At least their ids, each once or more.
        """
        if rows.num_rows:
            self._parts.append(rows)
            self._ids.update(ids)

    def holds_any(self, ids: Sequence[str]) -> bool:
        """Whether a row with one of the ids waits."""
        return not self._ids.isdisjoint(ids)

    def lookup(self, ids: Sequence[str], columns: list[str]) -> pa.Table:
        """Return what waits with the given ids.

        Args:
            ids: Ids looked for.
            columns: Columns wanted.
        """
        wanted = self._ids.intersection(ids)
        if not wanted:
            return self._schema.empty_table().select(columns)
        mask = pa.array(sorted(wanted), pa.string())
        return pa.concat_tables(rows.filter(pc.is_in(rows[self._id], mask)).select(columns) for rows in self._parts)

    def take(self) -> pa.Table:
        """Return all that waits, in the order given; nothing waits then."""
        rows = pa.concat_tables(self._parts) if self._parts else self._schema.empty_table()
        self._parts, self._ids = [], set()
        return rows

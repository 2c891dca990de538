"""Rows of a batch that are made and not written yet: a batch is made in parts, and one commit writes it."""

from collections.abc import Sequence

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

    def expect(self, ids: Sequence[str]) -> bool:
        """Note the ids of rows that may come.

        Args:
            ids: The ids.

        Returns:
            Whether all are new: none twice, and none noted since the last `take`. If so, no row with one of them waits.
        """
        before = len(self._ids)
        self._ids.update(ids)
        return len(self._ids) - before == len(ids)

    def add(self, rows: pa.Table) -> None:
        """Let rows wait.

        Args:
            rows: Rows with the table's columns.
        """
        if rows.num_rows:
            self._parts.append(rows)

    def lookup(self, ids: Sequence[str], columns: list[str]) -> pa.Table:
        """Return what waits with the given ids.

        Args:
            ids: Ids looked for.
            columns: Columns wanted.
        """
        mask = pa.array(ids, pa.string())
        found = [rows.filter(pc.is_in(rows[self._id], mask)).select(columns) for rows in self._parts]
        return pa.concat_tables([self._schema.empty_table().select(columns), *found])

    def take(self) -> pa.Table:
        """Return all that waits, in the order given; nothing waits then."""
        rows = pa.concat_tables(self._parts) if self._parts else self._schema.empty_table()
        self._parts, self._ids = [], set()
        return rows

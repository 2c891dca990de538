"""From the rows of drafts to tables, column by column: what the signals of a row have in common is made once."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from flywheel.components.store.tables import SCHEMAS

_INTERACTIONS, _FEEDBACK = SCHEMAS["interactions"], SCHEMAS["feedback"]
_SHARED = pa.schema(
    _FEEDBACK.field(name) for name in ("interaction_id", "subject", "timestamp", "source", "run_id", "attributes")
)
_OWN = pa.schema(field for field in _FEEDBACK if field.name not in _SHARED.names)


class TableRows(NamedTuple):
    """What a draft adds to the tables `interactions` and `feedback`: values in the order of the columns."""

    interaction: tuple[Any, ...] | None  # None: the row holds signals only
    shared: tuple[Any, ...]  # what all its rows of `feedback` say: interaction, subject, time, source, run, attributes
    own: Sequence[tuple[Any, ...]]  # what each of them says: id, kind, annotator, name, value, text

    def interactions(self) -> list[dict[str, Any]]:
        """Return the rows of `interactions`, named: one or none."""
        return [] if self.interaction is None else [dict(zip(_INTERACTIONS.names, self.interaction, strict=True))]

    def feedback(self) -> list[dict[str, Any]]:
        """Return the rows of `feedback`, named and in the order of its columns."""
        shared = dict(zip(_SHARED.names, self.shared, strict=True))
        rows = [shared | dict(zip(_OWN.names, own, strict=True)) for own in self.own]
        return [{name: row[name] for name in _FEEDBACK.names} for row in rows]


def interactions(made: Sequence[TableRows]) -> pa.Table:
    """Table of the interactions that rows hold."""
    return _table(_INTERACTIONS, [rows.interaction for rows in made if rows.interaction])


def feedback(made: Sequence[TableRows]) -> pa.Table:
    """Table of the signals that rows hold."""
    telling = [rows for rows in made if rows.own]
    own = _table(_OWN, list(chain.from_iterable(rows.own for rows in telling)))
    shared = _table(_SHARED, [rows.shared for rows in telling])
    shared = shared.take(pa.array(np.repeat(np.arange(len(telling)), [len(rows.own) for rows in telling])))
    columns = [(shared if name in _SHARED.names else own)[name] for name in _FEEDBACK.names]
    return pa.Table.from_arrays(columns, schema=_FEEDBACK)


def _table(schema: pa.Schema, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )

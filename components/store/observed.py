"""Read what people did, without what simulated users of a canary were made to do.

The canary on one machine draws its users' reactions; its rows are kept for the record, but nothing may learn from them
or raise an alarm about them. What joining mined from conversations is a guess with a confidence, no report of a user or
of a client: who counts votes or judges models leaves it out (`REPORTED`).
"""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.contracts.feedback import SIMULATED_SOURCE, Annotator, SignalKind
from flywheel.components.contracts.tables import TableReference
from flywheel.components.store import delta_table
from flywheel.components.store.tables import ID_COLUMN

# Feedback rows that are not mined: implicit signs count when a client saw them, not when code inferred them.
REPORTED = ~((pc.field("kind") == SignalKind.IMPLICIT.value) & (pc.field("annotator") == Annotator.CODE.value))


def read(reference: TableReference, columns: list[str] | None = None, where: pc.Expression | None = None) -> pa.Table:
    """Read a version of `interactions` or `feedback` without simulated rows; otherwise as `delta_table.read`.

    Args:
        reference: Store, table and version.
        columns: Columns wanted; None for all.
        where: Further filter.

    Raises:
        StoreError: As `delta_table.read`.
    """
    people = pc.field("source") != SIMULATED_SOURCE
    return delta_table.read(reference, columns, people if where is None else people & where)


def batches(reference: TableReference, columns: list[str], where: pc.Expression | None = None) -> Iterator[pa.Table]:
    """Stream a version of `interactions` or `feedback` without simulated rows, in no particular order.

    In memory lie a batch and, while it is looked whether an id is there twice, the ids (36 bytes each). Where one is,
    somebody else's writer doubled it, and the rows are read as by `read`, all at once.

    Args:
        reference: Store, table and version.
        columns: Columns wanted.
        where: Further filter over the columns wanted.

    Yields:
        The rows of each batch that are wanted, with the columns in the order given.

    Raises:
        StoreError: As `delta_table.read`.
    """
    name = ID_COLUMN[reference.table]
    ids = pa.chunked_array([batch[name] for batch in delta_table.batches(reference, [name])], pa.string())
    if pc.count_distinct(ids).as_py() < len(ids):
        yield read(reference, columns, where)
        return
    del ids
    people = pc.field("source") != SIMULATED_SOURCE
    for batch in delta_table.batches(reference, [*columns, *({"source"} - set(columns))]):
        yield pa.Table.from_batches([batch]).filter(people if where is None else people & where).select(columns)


def standing_ratings(feedback: TableReference) -> pa.Table:
    """Read the ratings that stand: of several by one user about one interaction the latest (ties: the higher id).

    Args:
        feedback: Version of the feedback table.

    Returns:
        Columns interaction_id, subject, value; ordered by interaction, then subject.

    Raises:
        StoreError: As `delta_table.read`.
    """
    order = ["interaction_id", "subject", "timestamp", "feedback_id"]
    where = (pc.field("kind") == SignalKind.RATING.value) & pc.is_valid(pc.field("value"))
    rows = read(feedback, [*order, "value"], where).sort_by([(name, "ascending") for name in order])
    last = rows.append_column("row", pa.array(range(rows.num_rows), pa.int64()))
    last = last.group_by(["interaction_id", "subject"], use_threads=False).aggregate([("row", "max")])
    return rows.take(last["row_max"].sort()).select(["interaction_id", "subject", "value"])

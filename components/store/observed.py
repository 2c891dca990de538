"""Read what people did, without what simulated users of a canary were made to do.

The canary on one machine draws its users' reactions; its rows are kept for the record, but nothing may learn from them
or raise an alarm about them. What joining mined from conversations is a guess with a confidence, no report of a user or
of a client: who counts votes or judges models leaves it out (`REPORTED`).
"""

import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.contracts.feedback import SIMULATED_SOURCE, Annotator, SignalKind
from flywheel.components.contracts.tables import TableReference
from flywheel.components.store import delta_table

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

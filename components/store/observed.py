"""Read what people did, without what simulated users of a canary were made to do.

The canary on one machine draws its users' reactions; its rows are kept for the record, but nothing may learn from them
or raise an alarm about them.
"""

import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.contracts.feedback import SIMULATED_SOURCE
from flywheel.components.contracts.tables import TableReference
from flywheel.components.store import delta_table


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

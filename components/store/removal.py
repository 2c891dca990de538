"""Take back derived rows that newer data proved wrong; what people said is never taken back.

Removal writes a new version; earlier versions keep the rows, so that a dataset made from them stays reproducible.
"""

import random
import time
from collections.abc import Sequence

from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties
from deltalake.exceptions import CommitFailedError, DeltaError

from flywheel.components.contracts.tables import TableName
from flywheel.components.store.errors import StoreError
from flywheel.components.store.location import storage_options, table_uri
from flywheel.components.store.tables import ID_COLUMN

_AT_ONCE = 2000  # ids in one predicate
_ATTEMPTS = 60


def remove(store: str, table: TableName, ids: Sequence[str], source: str) -> int:
    """Remove rows by id, as far as they are of the given source; ids that are not there are passed over.

    Args:
        store: Local folder or object-store URI.
        table: Name of a table with a `source` column.
        ids: Ids of 32 hex digits (`tables.row_id`).
        source: Only rows of this source are removed.

    Returns:
        Rows removed.

    Raises:
        StoreError: An id is no id, or the table cannot be written.
    """
    if wrong := [text for text in ids if len(text) != 32 or not set(text) <= set("0123456789abcdef")]:
        raise StoreError(f"cannot remove rows from table {table}: {wrong[0]!r} is no id of 32 hex digits")
    if "'" in source:
        raise StoreError(f"cannot remove rows of source {source!r}: the name holds a quote")
    ordered = sorted(ids)
    return sum(
        _remove(store, table, ordered[start : start + _AT_ONCE], source) for start in range(0, len(ordered), _AT_ONCE)
    )


def _remove(store: str, table: TableName, ids: Sequence[str], source: str) -> int:
    listed = ", ".join(f"'{text}'" for text in ids)
    for attempt in range(_ATTEMPTS):
        try:
            done = DeltaTable(table_uri(store, table), storage_options=storage_options()).delete(
                f"source = '{source}' AND {ID_COLUMN[table]} IN ({listed})",
                commit_properties=CommitProperties(max_commit_retries=0, custom_metadata={"removed": source}),
                post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=False),
            )
        except CommitFailedError:  # another writer was first
            time.sleep(random.uniform(0, 0.02 * (attempt + 1)))
            continue
        except (DeltaError, OSError) as error:
            raise StoreError(f"cannot remove rows from table {table} of store {store}: {error}") from error
        return int(done["num_deleted_rows"])
    raise StoreError(f"table {table} of store {store} was changed by others {_ATTEMPTS} times in a row; run again")

"""Change the key of the pseudonyms: rows written under an older key get the newest pseudonyms, people stay linkable.

A rotation is two steps, each safe to repeat. First a new key is added behind the old ones: from then on intake writes
the newest pseudonyms. Then the subjects in the tables are carried on, table by table, each in one transaction; a run
that is killed is run again. In between rows of both kinds are there: `Pseudonymizer.newest` maps either to one
pseudonym.

The older keys must be kept: they are the inner links of the chain, but no longer secret ones. Who knows them all but
the newest learns nothing from the current tables. Two things a rotation does not change: versions of the tables before
it hold the older pseudonyms for as long as their files are kept, and ids of rows keep the first key. So after the
*first* key is known to strangers, somebody with a guess of a whole raw row can confirm it by the row's id: then a new
store is the remedy.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, PostCommitHookProperties
from deltalake.exceptions import CommitFailedError, DeltaError

from flywheel.components.contracts.lineage import StepRecord
from flywheel.components.contracts.tables import TableName
from flywheel.components.intake import pseudonyms
from flywheel.components.store import delta_table
from flywheel.components.store.errors import StoreError
from flywheel.components.store.tables import SCHEMAS

STEP = "rotate_key"
_ATTEMPTS = 20


@dataclass
class Rotation:
    """What a rotation did.

    Attributes:
        key_id: Public name of the key in use now.
        subjects: Table -> subjects that were carried on.
        rows: Table -> rows that name them.
    """

    key_id: str
    started_at: datetime
    subjects: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)

    def record(self, run_id: str) -> StepRecord:
        """Make the step record."""
        return StepRecord(
            run_id=run_id,
            step=STEP,
            started_at=self.started_at,
            finished_at=datetime.now(UTC),
            outcome=f"key {self.key_id} is in use",
            metrics={f"rows_{table}": float(count) for table, count in self.rows.items()},
            details={"key_id": self.key_id, "subjects": self.subjects},
        )


def rotate(store: str, *, new_key: bool = True) -> Rotation:
    """Add a key to a local store, and carry all subjects in the tables on to the newest key.

    Args:
        store: Local folder or object-store URI.
        new_key: Whether to add a key; False when it was added already (to the variable, or by a run that was killed).

    Raises:
        IntakeError: A key cannot be added here, or subjects were written with a key that is not among the given ones.
        StoreError: A table cannot be written.
    """
    if new_key:
        pseudonyms.add_key(store)
    keys = pseudonyms.for_store(store)
    result = Rotation(keys.key_id, datetime.now(UTC))
    for table, schema in SCHEMAS.items():
        if "subject" in schema.names and delta_table.exists(store, table):
            subjects, rows = _carry_on(store, table, keys)
            result.subjects[table], result.rows[table] = subjects, rows
    return result


def _carry_on(store: str, table: TableName, keys: pseudonyms.Pseudonymizer) -> tuple[int, int]:
    """Rewrite the subjects of a table in one transaction; a writer in between means another look."""
    for _ in range(_ATTEMPTS):
        reference = delta_table.latest(store, table)
        old: set[str] = set()
        for batch in delta_table.batches(reference, ["subject"]):
            old.update(pc.unique(batch["subject"]).to_pylist())
        changed = {subject: newest for subject in old if (newest := keys.newest(subject)) != subject}
        if not changed:
            return 0, 0
        source = pa.table({"was": list(changed), "is_now": list(changed.values())})
        try:
            delta = delta_table.open_version(store, table, create=False, version=reference.version)
            merge = delta.merge(
                source,
                "old_rows.subject = names.was",
                source_alias="names",
                target_alias="old_rows",
                commit_properties=CommitProperties(max_commit_retries=0, custom_metadata={"key": keys.key_id}),
                post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=False),
            )
            done = merge.when_matched_update({"subject": "names.is_now"}).execute()
        except CommitFailedError:
            continue
        except DeltaError as error:
            raise StoreError(f"cannot rewrite the subjects of {table} in {store}: {error}") from error
        return len(changed), int(done["num_target_rows_updated"])
    raise StoreError(f"{table} in {store} is written to all the time; stop intake, then rotate again with --keys-given")

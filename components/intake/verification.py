"""Prove that the tables hold no personal data that a simple, independent scanner can see."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.contracts.tables import FeedbackSnapshot, TableReference
from flywheel.components.intake import residual_scan
from flywheel.components.intake.errors import ResidualPersonalData
from flywheel.components.store import delta_table
from flywheel.components.store.tables import SCHEMAS

STEP = "verify_anonymization"


@dataclass
class Verification:
    """What the scanner saw; matches are counted and never repeated."""

    started_at: datetime
    rows: int = 0
    rows_with_matches: int = 0
    matches: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # table, column, type

    @property
    def residual(self) -> int:
        """Matches in all."""
        return sum(self.matches.values())

    def record(self, run_id: str) -> StepRecord:
        """Make the step record."""
        quarantined = {"residual_pii": self.rows_with_matches} if self.rows_with_matches else {}
        types: Counter[str] = Counter()
        for (_, _, kind), number in self.matches.items():
            types[kind] += number
        return StepRecord(
            run_id=run_id,
            step=STEP,
            started_at=self.started_at,
            finished_at=datetime.now(UTC),
            rows=RowCounts(rows_in=self.rows, accepted=self.rows - self.rows_with_matches, quarantined=quarantined),
            outcome="clean" if self.residual == 0 else "personal data left",
            metrics={"rows_scanned": float(self.rows), "residual_matches": float(self.residual)},
            details={"residual": dict(types)},
        )

    def markdown(self) -> str:
        """Write the report for people."""
        lines = [
            "# Anonymization check",
            "",
            f"An independent scanner read {self.rows} rows of the feedback store and found "
            f"**{self.residual}** pieces of personal data.",
            "It is a net under the recognizers, not a measure of their recall: finding nothing does not prove that "
            "nothing is there.",
        ]
        if self.matches:
            lines += ["", "| table | column | type | matches |", "|---|---|---|---|"]
            lines += [
                f"| {table} | {column} | {kind} | {n} |" for (table, column, kind), n in sorted(self.matches.items())
            ]
        return "\n".join(lines) + "\n"

    def raise_if_any(self) -> None:
        """Stop the pipeline when anything was found.

        Raises:
            ResidualPersonalData: Matches are left; the message says where, not what.
        """
        if self.residual:
            where = ", ".join(
                f"{table}.{column}: {n} x {kind}" for (table, column, kind), n in sorted(self.matches.items())
            )
            raise ResidualPersonalData(
                f"personal data is left in the store ({where}). Nothing may be trained on it: move the store aside, "
                "report the pattern to the owner of components/intake/privacy, and run intake into a new store"
            )


def verify(snapshot: FeedbackSnapshot) -> Verification:
    """Scan every text column of the interactions, the feedback and the quarantine.

    Args:
        snapshot: Versions of the tables; of the quarantine the newest version is read.

    Returns:
        Counts by table, column and type.

    Raises:
        StoreError: A table cannot be read.
    """
    result = Verification(datetime.now(UTC))
    store = snapshot.interactions.store
    for reference in (snapshot.interactions, snapshot.feedback, delta_table.latest(store, "quarantine")):
        _scan_table(reference, result)
    return result


def _scan_table(reference: TableReference, result: Verification) -> None:
    columns = [schema_field.name for schema_field in SCHEMAS[reference.table] if pa.types.is_string(schema_field.type)]
    for batch in delta_table.batches(reference, columns):
        hit_rows: set[int] = set()
        for column in columns:
            for index, text in enumerate(batch[column].to_pylist()):
                for kind in residual_scan.scan(text) if text else ():
                    result.matches[(reference.table, column, kind)] += 1
                    hit_rows.add(index)
        result.rows += batch.num_rows
        result.rows_with_matches += len(hit_rows)

"""What intake did, counted: the conservation law holds or there is no record of the step."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.contracts.tables import FeedbackSnapshot

STEP = "intake_feedback"


@dataclass
class IntakeSummary:
    """What intake did; `record` makes the step record of it."""

    started_at: datetime
    snapshot: FeedbackSnapshot
    files: int = 0
    rows_in: int = 0
    accepted: int = 0
    duplicates: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    new_rows: Counter[str] = field(default_factory=Counter)  # table -> rows that were not there before
    formats: Counter[str] = field(default_factory=Counter)
    pii: Counter[str] = field(default_factory=Counter)
    first: datetime | None = None
    last: datetime | None = None

    def record(self, run_id: str) -> StepRecord:
        """Make the step record; raises ValueError when a row got lost (conservation law)."""
        rows = RowCounts(
            rows_in=self.rows_in,
            accepted=self.accepted,
            duplicates=self.duplicates,
            quarantined=dict(sorted(self.quarantined.items())),
        )
        metrics = {
            "rows_in": float(self.rows_in),
            "accepted": float(self.accepted),
            "duplicates": float(self.duplicates),
            "quarantined": float(sum(self.quarantined.values())),
            "files": float(self.files),
            "pii_replaced": float(sum(self.pii.values())),
        } | {f"new_{table}": float(count) for table, count in sorted(self.new_rows.items())}
        return StepRecord(
            run_id=run_id,
            step=STEP,
            started_at=self.started_at,
            finished_at=datetime.now(UTC),
            rows=rows,
            outcome=self.words(),
            metrics=metrics,
            details={
                "formats": dict(sorted(self.formats.items())),
                "pii": dict(sorted(self.pii.items())),
                "first": self.first.isoformat() if self.first else "",
                "last": self.last.isoformat() if self.last else "",
            },
        )

    def words(self) -> str:
        """Say in one line what happened."""
        if self.rows_in == 0:
            return "empty: the logs hold no rows"
        quarantined = sum(self.quarantined.values())
        return (
            f"{self.accepted} of {self.rows_in} rows accepted, {self.duplicates} duplicates, {quarantined} quarantined"
        )

"""The record that a stage leaves of itself."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from flywheel.components.contracts.lineage import RowCounts, StepRecord


def record(
    step: str,
    run_id: str,
    started: datetime,
    rows: RowCounts,
    metrics: Mapping[str, float],
    details: dict[str, Any],
) -> StepRecord:
    """Make the record of a stage that ends now."""
    return StepRecord(
        run_id=run_id,
        step=step,
        started_at=started,
        finished_at=datetime.now(UTC),
        rows=rows,
        metrics={name: float(value) for name, value in metrics.items()},
        details=details,
    )

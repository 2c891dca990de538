"""Decide on every candidate: accept, review or discard."""

from dataclasses import asdict
from datetime import UTC, datetime

import pyarrow as pa

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.curation.stages.files import read, write
from flywheel.components.curation.stages.records import record

_CONFLICTS = 200  # that the record holds; all of their rows are in review


def route(
    classified: str,
    routed: str,
    run_id: str,
    target_precision: float = 0.9,
    confidence: float = 0.9,
    max_share_per_subject: float = 0.02,
    trusted: str = "",
) -> StepRecord:
    """Decide on every candidate: accept, review or discard.

    Args:
        classified: Parquet file of `classify`.
        routed: Path of the Parquet file to write.
        run_id: Run.
        target_precision: Precision of the category to guarantee among accepted rows, in (0, 1).
        confidence: Confidence of that guarantee, in (0, 1).
        max_share_per_subject: Greatest share of the accepted rows that one subject alone may stand behind, in (0, 1].
        trusted: Path of evaluation items whose references people vouch for; "" for none.

    Raises:
        FileNotFoundError: There is no such file of trusted items.
        ValueError: A parameter is out of range or the file is not one of `classify`.
    """
    from flywheel.components.curation.guards import trusted_items
    from flywheel.components.curation.routing import router

    started = datetime.now(UTC)
    table, notes = read(classified, "calibration")
    rows = table.to_pylist()
    result = router.route(
        rows,
        notes["calibration"],
        run_id,
        float(notes["median_activity"]),
        target_precision,
        confidence,
        max_share_per_subject,
        trusted_items.trusted_of(trusted_items.read_trusted(trusted)),
    )
    table = table.set_column(
        table.schema.get_field_index("language"),
        "language",
        pa.array([row["language"] for row in result.rows], pa.string()),
    )
    for name in ("candidate_id", "route", "reason"):
        table = table.append_column(name, pa.array([row[name] for row in result.rows], pa.string()))
    write(table, routed, {name: value for name, value in notes.items() if name != "calibration"})
    routes = result.routes()
    return record(
        "route_candidates",
        run_id,
        started,
        RowCounts(
            rows_in=table.num_rows,
            accepted=routes["accept"],
            in_review=routes["review"],
            quarantined=result.reasons("discard"),
        ),
        {f"route_{name}": count for name, count in routes.items()} | {"audit": len(result.audit)},
        {
            "routes": routes,
            "reasons": result.reasons(),
            "thresholds": {name: asdict(choice) for name, choice in result.thresholds.items()},
            "audit": {"share": router.AUDIT_SHARE, "candidates": result.audit},
            "error_rate": result.error_rate,
            "conflicts": result.inspection.conflicts[:_CONFLICTS],
            "conflicts_in_all": len(result.inspection.conflicts),
            "claims": asdict(result.inspection.law) if result.inspection.law else None,
            "trusted": {
                "agreeing": result.inspection.trusted_agreeing,
                "contradicting": result.inspection.trusted_contradicting,
            },
        },
    )

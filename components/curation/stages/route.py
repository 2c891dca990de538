"""Decide on every candidate: accept, review or discard."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.contracts.tables import FeedbackSnapshot, TableReference
from flywheel.components.curation.guards.coalition import SHARE
from flywheel.components.curation.review.decisions import ACCEPT
from flywheel.components.curation.stages.files import find, writer
from flywheel.components.curation.stages.records import record
from flywheel.components.curation.stages.votes import lexicon_in

if TYPE_CHECKING:
    from flywheel.components.curation.review.reviewed import Reviewed

_CONFLICTS = 200  # that the record holds; all of their rows are in review
_SAID = ("language", "correction", "claim", "category", "confidence")
_NEW = ("candidate_id", "route", "reason")


def route(
    classified: str,
    routed: str,
    run_id: str,
    target_precision: float = 0.9,
    confidence: float = 0.9,
    max_share_per_subject: float = 0.02,
    trusted: str = "",
    coalition_share: float = SHARE,
) -> StepRecord:
    """Decide on every candidate: accept, review or discard.

    The rows stream. In memory stay for each row its ids and numbers (about 400 bytes) and for each factual claim who
    stands behind it (2 KB); the texts lie in a temporary file.

    Args:
        classified: Parquet file of `classify`.
        routed: Path of the Parquet file to write.
        run_id: Run.
        target_precision: Precision of the category to guarantee among accepted rows, in (0, 1).
        confidence: Confidence of that guarantee, in (0, 1).
        max_share_per_subject: Greatest share of the accepted rows that one subject alone may stand behind, in (0, 1].
        trusted: Path of evaluation items whose references people vouch for; "" for none.
        coalition_share: Share of the users that may have agreed to lie, in [0, 0.5); 0: nobody (`guards.coalition`).

    Raises:
        FileNotFoundError: There is no such file of trusted items.
        ValueError: A parameter is out of range or the file is not one of `classify`.
    """
    from flywheel.components.curation.guards import coalition, trusted_items
    from flywheel.components.curation.review import human_word, reviewed
    from flywheel.components.curation.routing import audit, router
    from flywheel.components.curation.routing.candidates import Candidates

    started = datetime.now(UTC)
    file = find(classified, "calibration", "audience")
    notes = file.notes
    audience = coalition.audience_of(notes["audience"], coalition_share)
    said = reviewed.read(TableReference.model_validate(notes["reviews"]) if notes.get("reviews") else None)
    lexicon = lexicon_for(said, notes)
    vouched: list[tuple[str, str, str]] = []
    decided: Counter[str] = Counter()
    with Candidates(file.schema) as rows:
        for batch in file.batches():
            told = human_word.apply(batch.to_pylist(), said, lexicon)
            vouched += [(row["context"], row["prompt"], row["correction"]) for row in told if row["decided"] == ACCEPT]
            decided.update(row["decided"] for row in told if row["decided"])
            rows.add(told)
        result = router.route(
            rows.finish(),
            notes["calibration"],
            run_id,
            float(notes["median_activity"]),
            target_precision,
            confidence,
            max_share_per_subject,
            trusted_items.trusted_of([*trusted_items.read_trusted(trusted), *vouched]),
            audience,
        )
        passed_on = {name: value for name, value in notes.items() if name != "calibration"}
        with writer(routed, pa.schema([*file.schema, *((name, pa.string()) for name in _NEW)]), passed_on) as out:
            start = 0
            for batch in file.batches():
                out.write(_decided(batch, result.rows[start : start + batch.num_rows]))
                start += batch.num_rows
    routes = result.routes()
    return record(
        "route_candidates",
        run_id,
        started,
        RowCounts(
            rows_in=file.rows,
            accepted=routes["accept"],
            in_review=routes["review"],
            quarantined=result.reasons("discard"),
        ),
        {f"route_{name}": count for name, count in routes.items()} | {"audit": len(result.audit)},
        {
            "routes": routes,
            "reasons": result.reasons(),
            "thresholds": {
                name: {**asdict(known.choice), "labels": known.labels, "answers": known.answers}
                | {"closed_by_audit": known.closed_by_audit}
                for name, known in result.thresholds.items()
            },
            "audit": {"share": audit.SHARE, "candidates": result.audit},
            "decided_by_people": dict(sorted(decided.items())),
            "error_rate": result.error_rate,
            "conflicts": result.inspection.conflicts[:_CONFLICTS],
            "conflicts_in_all": len(result.inspection.conflicts),
            "claims": asdict(result.inspection.law) if result.inspection.law else None,
            "unconfirmed": {
                "coalition": audience.coalition(),
                "claims": len(result.inspection.unconfirmed),
                "rows": sum(map(len, result.inspection.unconfirmed.values())),
                "asked": result.asked,
            },
            "trusted": {
                "agreeing": result.inspection.trusted_agreeing,
                "contradicting": result.inspection.trusted_contradicting,
            },
        },
    )


def _decided(batch: pa.RecordBatch, rows: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    """The rows as they go on: what people say stands in its place, and what was decided behind it."""
    for name in _SAID:
        place = batch.schema.get_field_index(name)
        field = batch.schema.field(place)
        batch = batch.set_column(place, field, pa.array([row[name] for row in rows], field.type))
    for name in _NEW:
        batch = batch.append_column(name, pa.array([row[name] for row in rows], pa.string()))
    return batch


def lexicon_for(said: "Reviewed", notes: Mapping[str, Any]) -> frozenset[str]:
    """Names of the corpus, which the reviewers' own wordings are read with; empty where they left all as it was."""
    wordings = [one.correction for one in said.decisions.values() if one.correction is not None]
    if not wordings:
        return frozenset()
    snapshot = FeedbackSnapshot.model_validate(notes["snapshot"])
    return lexicon_in(snapshot.interactions, wordings)

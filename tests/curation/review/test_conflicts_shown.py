import csv
from datetime import UTC, datetime

import pyarrow as pa

from flywheel.components.contracts.lineage import StepRecord
from flywheel.components.contracts.tables import CandidateSnapshot
from flywheel.components.curation.review import exporting
from flywheel.components.store import delta_table, lineage
from flywheel.components.store.tables import SCHEMAS

AT = datetime(2026, 3, 1, tzinfo=UTC)


def test_the_queue_tells_both_sides_of_a_conflict_and_names_nobody(tmp_path):
    store = str(tmp_path / "store")
    rows = [
        dict.fromkeys(SCHEMAS["candidates"].names, "")
        | {"candidate_id": name, "run_id": "r1", "timestamp": AT, "messages": "[]", "prompt": "How long?",
           "correction": f"It is {months} months.", "category": "factual", "confidence": 0.9, "route": "review",
           "reason": reason, "subject": f"secret-{name}"}
        for name, months, reason in (("a", 36, "conflicting"), ("b", 48, "conflicting"), ("c", 60, "low_confidence"))
    ]  # fmt: skip
    reference = delta_table.append(
        store, "candidates", pa.Table.from_pylist(rows, SCHEMAS["candidates"]), "test"
    ).reference
    sides = [
        {"claim": "36", "example": "It is 36 months.", "supporters": 3, "voters": 3, "rows": ["a"]},
        {"claim": "48", "example": "It is 48 months.", "supporters": 1, "voters": 1, "rows": ["b"]},
    ]
    conflict = {"question_id": "q", "question": "How long?", "sides": sides}
    lineage.record_step(
        store,
        StepRecord(
            run_id="r1", step="route_candidates", started_at=AT, finished_at=AT, details={"conflicts": [conflict]}
        ),
    )
    exporting.export(CandidateSnapshot(candidates=reference, run_id="r1"), str(tmp_path / "queue.csv"), "r1")
    with (tmp_path / "queue.csv").open(encoding="utf-8-sig", newline="") as file:
        asked = {row["candidate"]: row["asked_because"] for row in csv.DictReader(file)}
    told = 'conflicting: 3 users say "It is 36 months."; 1 user says "It is 48 months."'
    assert (asked["c-a"], asked["c-b"]) == (told, told)
    assert "users say" not in asked["c-c"]
    assert "secret" not in (tmp_path / "queue.csv").read_text(encoding="utf-8-sig")

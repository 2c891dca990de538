"""Candidates on their way into the store: their texts come back from the disk with the row that they belong to."""

import random
from datetime import timedelta

import pyarrow as pa
import pytest

from flywheel.components.curation.stages.candidate_rows import Candidates
from flywheel.components.store import delta_table
from flywheel.components.store.tables import SCHEMAS
from tests.curation.conftest import START

SCHEMA = SCHEMAS["candidates"]
HOMES = [("c01", "warranty"), ("c02", "parcel")]


def rows_of(number: int = 30) -> list[dict]:
    draw, made = random.Random(2), []
    for n in range(number):
        row = {name: f"{name} {n} é" for name in SCHEMA.names if name not in ("run_id", "cluster_id", "cluster_name")}
        row |= {
            "candidate_id": f"{draw.randrange(10**6):06d}",
            "timestamp": START + timedelta(hours=n),
            "confidence": n / 7,
        }
        made.append(row | {"route": ("accept", "review", "discard")[n % 3]})
    return made


def append(store: str, rows: list[dict], run_id: str = "r1", size: int = 7):
    schema = pa.schema([SCHEMA.field(name) for name in rows[0]])
    placed = [n % 2 for n, row in enumerate(row for row in rows if row["route"] != "discard")]
    with Candidates(run_id) as made:
        for start in range(0, len(rows), size):
            made.add(pa.RecordBatch.from_pylist(rows[start : start + size], schema))
        made.finish()
        assert made.correct(["interaction_id 3 é", "other"]).tolist() == [len(rows) > 3, False]
        assert made.accepted == sum(row["route"] == "accept" for row in rows)
        return made.append_to(store, HOMES, [*placed, 0, 1])  # behind them come failures that are no candidates


def test_rows_are_stored_by_id_with_the_cluster_of_each_that_is_not_discarded(tmp_path, monkeypatch):
    monkeypatch.setattr("flywheel.components.curation.stages.candidate_rows._AT_ONCE", 4)
    rows = rows_of()
    done = append(str(tmp_path), rows)
    homes = iter([n % 2 for n in range(len(rows))])
    expected = []
    for row in rows:
        home = ("", "") if row["route"] == "discard" else HOMES[next(homes)]
        expected.append(row | {"run_id": "r1", "cluster_id": home[0], "cluster_name": home[1]})
    expected.sort(key=lambda row: row["candidate_id"])
    assert next(iter(delta_table.batches(done.reference))).to_pylist() == [
        {n: row[n] for n in SCHEMA.names} for row in expected
    ]


def test_a_second_attempt_must_come_to_the_same_rows(tmp_path):
    rows = rows_of()
    first = append(str(tmp_path), rows)
    append(str(tmp_path), [row | {"candidate_id": f"x{row['candidate_id']}"} for row in rows], "r2")
    again = append(str(tmp_path), rows, size=11)
    assert (first.inserted, again.inserted, again.already_there) == (30, 0, 30)
    for other in ([*rows[1:], rows[0] | {"reason": "another"}], rows[1:]):
        with pytest.raises(ValueError, match="run r1 was curated before with another result"):
            append(str(tmp_path), other)

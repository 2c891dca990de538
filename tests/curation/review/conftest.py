"""A store with candidates to review, and answers to give."""

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from flywheel.components.contracts.tables import CandidateSnapshot
from flywheel.components.curation.review.given import Given
from flywheel.components.store import delta_table
from flywheel.components.store.tables import SCHEMAS, row_id

START = datetime(2026, 3, 1, tzinfo=UTC)


def candidate_row(number: int, run: str = "r1", **more):
    prompt = f"How long is the warranty of the Borel {number}?"
    row = {
        "candidate_id": row_id(run, number, more.get("correction", "")),
        "run_id": run,
        "interaction_id": f"i{number:05d}",
        "subject": f"u{number}",
        "timestamp": START + timedelta(hours=number),
        "prompt": prompt,
        "messages": json.dumps([{"role": "user", "content": prompt}]),
        "response": f"The Borel {number} has a warranty of 24 months.",
        "correction": f"The Borel {number} has a warranty of 36 months.",
        "category": "factual",
        "confidence": 0.9,
        "route": "accept",
        "reason": "",
        "group_id": f"g{number}",
        "cluster_id": "",
        "cluster_name": "",
    }
    return row | more


@pytest.fixture
def make_candidates(tmp_path):
    """Write candidates into a store; returns their snapshot."""

    def make(rows, run: str = "r1"):
        store = str(tmp_path / "store")
        written = delta_table.append(
            store, "candidates", pa.Table.from_pylist(rows, SCHEMAS["candidates"]), batch=f"b-{run}"
        )
        return CandidateSnapshot(candidates=written.reference, run_id=run)

    return make


def given(
    candidate_id: str, verdict: str = "accept", reviewer: str = "ann@example.com", at=None, place: int = 2, **more
):
    values = {"category": "", "correction": "", "note": ""} | more
    return Given(
        place=place, candidate_id=candidate_id, verdict=verdict, reviewer=reviewer, at=at,
        raw={"candidate": candidate_id, "verdict": verdict, "reviewer": reviewer, **values}, **values,
    )  # fmt: skip


def reviews(store: str):
    return delta_table.read(delta_table.latest(store, "reviews")).to_pylist()

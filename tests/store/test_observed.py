from datetime import UTC, datetime, timedelta

import pyarrow as pa

from flywheel.components.contracts.feedback import SIMULATED_SOURCE
from flywheel.components.store import delta_table, observed
from flywheel.components.store.tables import SCHEMAS

START = datetime(2026, 11, 20, tzinfo=UTC)


def put(store, *rows):
    made = [
        {"feedback_id": f"{number:032x}", "interaction_id": "i", "subject": "s", "kind": "rating", "annotator": "user",
         "name": "rating", "value": 1.0, "text": None, "source": "log", "run_id": "r", "attributes": "{}",
         "timestamp": START + timedelta(minutes=number)} | row
        for number, row in enumerate(rows)
    ]  # fmt: skip
    return delta_table.append(
        str(store), "feedback", pa.Table.from_pylist(made, schema=SCHEMAS["feedback"]), "b"
    ).reference


def test_the_latest_rating_of_a_user_stands(tmp_path):
    reference = put(
        tmp_path,
        {"timestamp": START + timedelta(hours=9), "value": -1.0},
        {"value": 1.0},  # earlier, written later
        {"subject": "t", "value": 0.0, "timestamp": START},
        {"subject": "t", "value": 1.0, "timestamp": START},  # same moment: the higher id
        {"interaction_id": "j", "value": 1.0},
        {"interaction_id": "j", "value": -1.0, "source": SIMULATED_SOURCE},
        {"interaction_id": "k", "kind": "implicit", "annotator": "code", "name": "dissatisfied", "value": 0.9},
        {"interaction_id": "k", "value": None},
    )
    assert observed.standing_ratings(reference).to_pylist() == [
        {"interaction_id": "i", "subject": "s", "value": -1.0},
        {"interaction_id": "i", "subject": "t", "value": 1.0},
        {"interaction_id": "j", "subject": "s", "value": 1.0},
    ]


def test_what_code_inferred_is_not_reported(tmp_path):
    reference = put(
        tmp_path,
        {"kind": "implicit", "annotator": "code", "name": "rephrase"},
        {"kind": "implicit", "annotator": "user", "name": "rephrase"},
        {"kind": "automated", "annotator": "code", "name": "latency_ms"},
    )
    rows = observed.read(reference, ["kind", "annotator"], observed.REPORTED).to_pylist()
    assert sorted((row["kind"], row["annotator"]) for row in rows) == [("automated", "code"), ("implicit", "user")]
    assert observed.standing_ratings(reference).num_rows == 0

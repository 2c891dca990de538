from collections import defaultdict
from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flywheel.components.curation import corrections
from flywheel.components.curation.duplicates import spilled_rows
from flywheel.components.curation.duplicates.spilled_rows import SpilledRows
from tests.curation.conftest import START


def batches(table: pa.Table, chance, size: int):
    """The rows shuffled, few at a time."""
    order = list(range(table.num_rows))
    chance.shuffle(order)
    mixed = table.take(pa.array(order, pa.int64()))
    return (mixed.slice(start, size) for start in range(0, max(1, len(order)), size))


def expected_rows(log):
    """The rule, row by row: the last correction of a user about an interaction, and all that the user remarked."""
    asked = {row["interaction_id"]: row for row in log.interactions}
    last, comments = {}, defaultdict(list)
    for row in sorted(log.feedback, key=lambda row: (row["timestamp"], row["feedback_id"])):
        key = row["interaction_id"], row["subject"]
        if row["kind"] == "comment" and row["text"]:
            comments[key].append(row["text"])
        if row["kind"] == "correction" and asked.get(key[0], {}).get("consent"):
            last[key] = row
    for key, row in sorted(last.items(), key=lambda one: (one[1]["timestamp"], *one[0])):
        about = asked[key[0]]
        yield {
            **{name: about[name] for name in ("interaction_id", "messages", "prompt", "response", "language")},
            **{name: row[name] for name in ("subject", "timestamp", "source")},
            "context": corrections.context_of(about["messages"]),
            "correction": corrections.answer_text(row["text"] or "", about["prompt"])[0],
            "comment": " ".join(comments[key]),
        }


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chance=st.randoms(use_true_random=False), size=st.integers(1, 7))
def test_corrections_are_gathered_from_batches_in_any_order(log, monkeypatch, chance, size):
    log.interactions.clear()
    log.feedback.clear()
    monkeypatch.setattr(corrections, "ROWS", 3)
    monkeypatch.setattr(spilled_rows, "BYTES", 300)
    names = ["missing"]
    for number in range(chance.randrange(12)):
        before = ("Borel?", "Yes.") if number % 3 else ()
        names.append(log.ask("owner", f"Question {number}?", "24 é", consent=chance.random() < 0.8, before=before))
    for _ in range(chance.randrange(30)):
        said = chance.choice(["No, it is 36 months.", "36", "", None])
        kind = chance.choice(["correction", "comment", "rating"])
        hours = chance.randrange(3)
        log.say(chance.choice(names), chance.choice("ab"), kind, None if kind == "rating" else said, hours=hours)
    interactions, feedback = log.tables()
    with SpilledRows(corrections.SCHEMA) as rows:
        found = corrections.gather(batches(feedback, chance, size), batches(interactions, chance, size), rows)
        table = rows.table()
    expected = list(expected_rows(log))
    assert table.to_pylist() == expected
    kinds = [row for row in log.feedback if row["kind"] == "correction"]
    assert found.corrections == len(kinds) == len(expected) + sum(found.quarantined.values())
    assert found.orphans == sum(row["interaction_id"] == "missing" for row in kinds)
    corrected = {row["interaction_id"] for row in kinds} - {"missing"}
    assert found.not_candidates == len(log.interactions) - len(corrected)
    assert found.lead_ins == sum(row["correction"] == "It is 36 months." for row in expected)
    whole = corrections.collect(interactions, feedback, total=1000)
    assert whole.rows == table
    assert whole.not_candidates == 1000 - len(corrected)
    assert (whole.orphans, whole.superseded) == (found.orphans, found.superseded)


def test_rows_come_back_from_the_file_batch_by_batch(monkeypatch):
    monkeypatch.setattr(spilled_rows, "ROWS", 4)
    at = [START + timedelta(hours=number) for number in range(11)]
    table = pa.table(
        {"text": [f"é{number}" for number in range(11)], "at": at, "list": [["x"] * (n % 3) for n in range(11)]}
    )
    with SpilledRows(table.schema) as rows:
        rows.append(table.slice(0, 9))
        rows.append(table.slice(9))
        assert rows.num_rows == 11
        one, other = rows.batches(), rows.batches(["list", "text"])
        assert [part.num_rows for part in (next(one), next(other), next(one))] == [4, 4, 4]
        assert next(other).column_names == ["list", "text"]
        assert rows.table() == table
        assert rows.table(["at"]) == table.select(["at"])
        with pytest.raises(ValueError, match="no more can be added"):
            rows.append(table)
    with SpilledRows(table.schema) as nothing:
        assert nothing.table() == table.schema.empty_table()

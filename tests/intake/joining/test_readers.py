"""Who reads feedback: what was mined moves an alarm by its confidence, and is nobody's vote, correction or event."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from flywheel.components.contracts.feedback import JOINED_SOURCE
from flywheel.components.contracts.tables import FeedbackSnapshot
from flywheel.components.curation import corrections
from flywheel.components.curation.stages.votes import rated_batches
from flywheel.components.deployment.ab.ab_traffic import _from_store
from flywheel.components.deployment.cluster.store_turns import StoreTurns
from flywheel.components.deployment.users.replayed_users import _references
from flywheel.components.intake.ingest import ingest
from flywheel.components.intake.joining.join import join
from flywheel.components.monitoring import windows
from flywheel.components.report.satisfaction import satisfaction
from flywheel.components.store import delta_table

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
TALK = [
    ("How long can I return things?", "Within 14 days."),
    ("it's 30 days, not 14", "I see."),
    ("That's wrong.", "Sorry."),
    ("thanks", "Welcome."),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("readers")
    lines = [
        {"interaction": f"i{number}", "conversation": "c", "user": "ann", "prompt": prompt, "response": answer,
         "timestamp": (START + timedelta(minutes=number)).isoformat()}
        for number, (prompt, answer) in enumerate(TALK)
    ]  # fmt: skip
    lines.append({"conversation": "c", "turn": 4, "rating": 1, "user": "ann", "timestamp": START.isoformat()})
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    store = str(folder / "store")
    ingest(str(folder / "log.jsonl"), store, "r", now=START + timedelta(days=1))
    summary = join(tables(store), store, "r", folder / "waiting.jsonl")
    assert set(summary.signals) == {"corrected/contrast", "dissatisfied/phrase", "accepted/phrase"}
    return store


def tables(store):
    return FeedbackSnapshot(
        interactions=delta_table.latest(store, "interactions"), feedback=delta_table.latest(store, "feedback")
    )


def test_only_the_placed_rating_is_a_vote(store):
    ((rated,),) = rated_batches(tables(store))
    assert (rated["interaction_id"], rated["up"], rated["down"]) == ("i3", 1, 0)
    delta_table.latest(store, "candidates")
    assert _references(store, "r") == {"i3": {"Welcome."}}


def test_a_mined_correction_is_no_correction(store):
    snapshot = tables(store)
    found = corrections.collect(delta_table.read(snapshot.interactions), delta_table.read(snapshot.feedback))
    assert found.corrections == 0


def test_an_experiment_and_a_canary_see_what_clients_reported_only(store):
    _, signals, _ = _from_store(store, simulated=False)
    assert [(interaction, signal.name) for interaction, signal in signals if interaction == "i3"] == [("i3", "rating")]
    assert not {signal.name for _, signal in signals} & {"corrected", "dissatisfied", "accepted"}
    seen = StoreTurns(store, "service", ("a", "b"))._signals([f"i{number}" for number in range(4)])
    assert {name: [row["name"] for row in rows] for name, rows in seen.items()} == {"i3": ["rating"]}


def test_drift_takes_a_mined_sign_by_its_confidence(store, monkeypatch):
    snapshot = tables(store)
    interactions, feedback = delta_table.read(snapshot.interactions), delta_table.read(snapshot.feedback)
    cut = windows.cut(interactions, feedback, 7)
    assert dict(zip(cut.ids, cut.bad, strict=True)) == {"i0": 1, "i1": 1, "i2": 0, "i3": 0}
    monkeypatch.setattr(windows, "_SURE_ENOUGH", 0.9)
    cut = windows.cut(interactions, feedback, 7)
    assert dict(zip(cut.ids, cut.bad, strict=True)) == {"i0": 0, "i1": 1, "i2": 0, "i3": 0}


def test_the_report_counts_what_the_log_says_once(store):
    snapshot = tables(store)
    assert JOINED_SOURCE in delta_table.read(snapshot.feedback, ["source"])["source"].to_pylist()
    told = satisfaction(snapshot.interactions, snapshot.feedback, "r")
    assert (told["total"]["up"], told["signals"]) == (1, {"rating": 1})

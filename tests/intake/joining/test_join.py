"""The whole step on a store: late feedback, mined rows, waiting; in any order, in pieces, killed and repeated."""

import json
import random
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flywheel.components.contracts.feedback import JOINED_SOURCE, SIMULATED_SOURCE
from flywheel.components.contracts.tables import FeedbackSnapshot
from flywheel.components.intake.errors import IntakeError
from flywheel.components.intake.ingest import ingest
from flywheel.components.intake.joining import groups, join, spill
from flywheel.components.store import delta_table, lineage

NOW = datetime(2026, 11, 21, tzinfo=UTC)
START = datetime(2026, 11, 20, 12, tzinfo=UTC)


def at(minutes):
    return (START + timedelta(minutes=minutes)).isoformat()


def turn(name, minutes, prompt, answer, conversation="c1", user="ann", **more):
    return {"interaction": name, "conversation": conversation, "user": user, "timestamp": at(minutes),
            "prompt": prompt, "response": answer} | more  # fmt: skip


def rated(rating, minutes, user="ann", **about):
    return {"user": user, "timestamp": at(minutes), "rating": rating} | about


LOG = [
    turn("i1", 0, "How long can I return things?", "Within 14 days."),
    turn("i2", 1, "it's 30 days, not 14", "I don't know."),
    turn("j1", 5, "Opening hours?", "8 to 16.", "c2", "bob"),
    rated(1, 9, "bob", conversation="c2"),
    rated(-1, 2, interaction="i1"),
    rated(1, 3, interaction="i1"),
    rated(1, 50, "eve", interaction="never"),
    rated(-1, 4, conversation="c1", turn=1),
    turn("k1", 300, "Where is it?", "In Graz.", "c3", "cy"),
]


def bring(store, lines, run_id="r", name="log.jsonl"):
    path = store.parent / name
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return ingest(str(path), str(store), run_id, now=NOW)


def snapshot(store):
    return FeedbackSnapshot(
        interactions=delta_table.latest(str(store), "interactions"), feedback=delta_table.latest(str(store), "feedback")
    )


def do(store, run_id="r", **more):
    summary = join.join(snapshot(store), str(store), run_id, store.parent / "waiting.jsonl", **more)
    summary.record(run_id)  # checks the conservation law
    return summary


def derived(store):
    rows = delta_table.read(delta_table.latest(str(store), "feedback"), where=pc.field("source") == JOINED_SOURCE)
    return [{name: value for name, value in row.items() if name != "run_id"} for row in rows.to_pylist()]


def waiting(store):
    return [json.loads(line) for line in (store.parent / "waiting.jsonl").read_text().splitlines()]


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


def test_a_log_of_everything(store):
    bring(store, LOG)
    summary = do(store)
    rows = {(row["interaction_id"], row["kind"], row["name"]): row for row in derived(store)}
    assert set(rows) == {
        ("i1", "implicit", "corrected"),
        ("i2", "implicit", "abandon"),
        ("i1", "rating", "rating"),  # "turn 1" of the conversation
        ("j1", "rating", "rating"),  # the only answer of its conversation
    }
    mined = rows["i1", "implicit", "corrected"]
    assert mined["annotator"] == "code"
    assert mined["text"] == "it's 30 days, not 14"
    about = json.loads(mined["attributes"])["joining"]
    assert about["next"] == "i2"
    assert mined["value"] == about["confidence"] == pytest.approx(0.807)
    placed = rows["j1", "rating", "rating"]
    assert (placed["annotator"], placed["value"]) == ("user", 1.0)
    assert placed["subject"] == subject_of(store, "j1")
    # ann's three ratings of i1: the last one stands, the two before it are kept and counted
    assert (summary.feedback, summary.joined, summary.superseded, sum(summary.waiting.values())) == (5, 2, 2, 1)
    (left,) = waiting(store)
    assert (left["interaction_id"], left["reason"]) == ("never", "no_interaction")
    assert left["age_hours"] == pytest.approx(250 / 60, abs=1e-3)  # by the log's time: its newest line is at 300


def subject_of(store, interaction):
    rows = delta_table.read(delta_table.latest(str(store), "interactions"), ["interaction_id", "subject"]).to_pylist()
    return {row["interaction_id"]: row["subject"] for row in rows}[interaction]


def test_a_user_s_conversations_are_linked_by_the_pseudonym(store):
    bring(store, [*LOG, turn("l1", 20, "q", "a", "c4", "ann"), turn("l2", 21, "q", "a", "c5", "bob", source="other")])
    metrics = do(store).record("r").metrics
    assert (metrics["conversations"], metrics["subjects"], metrics["subjects_returning"]) == (5, 3, 2)


def test_again_adds_nothing(store):
    bring(store, LOG)
    first = do(store)
    version = delta_table.latest(str(store), "feedback").version
    second = do(store, "another")
    assert (first.new_rows, second.new_rows, second.removed) == (4, 0, 0)
    assert delta_table.latest(str(store), "feedback").version == version == second.snapshot.feedback.version
    assert first.signals == second.signals


def test_an_ending_is_taken_back_when_the_user_comes_back(store):
    bring(store, LOG)
    do(store)
    assert ("i2", "abandon") in {(row["interaction_id"], row["name"]) for row in derived(store)}
    before = delta_table.latest(str(store), "feedback")
    bring(store, [turn("i3", 6, "thank you, that worked", "You are welcome.")], "r2", "more.jsonl")
    summary = do(store, "r2")
    assert summary.removed == 1
    names = {(row["interaction_id"], row["name"]) for row in derived(store)}
    assert ("i2", "abandon") not in names
    assert ("i2", "accepted") in names
    old = delta_table.read(before, ["name"])["name"].to_pylist()
    assert "abandon" in old  # an earlier version stays what it was


def test_signals_of_a_rule_that_showed_little_are_counted_and_not_written(store):
    bring(store, [LOG[0], turn("z", 99, "q", "a", "c9", "zed")])
    summary = do(store)
    assert (dict(summary.unsure), summary.signals, derived(store)) == ({"abandon/silence": 1}, {}, [])
    assert do(store, min_confidence=0.0).signals == {"abandon/silence": 1}
    (row,) = derived(store)
    assert (row["interaction_id"], row["name"], row["value"]) == ("i1", "abandon", pytest.approx(0.082))


def test_late_answer_takes_the_waiting_row(store):
    bring(store, LOG)
    assert do(store).waiting == {"no_interaction": 1}
    bring(store, [turn("never", 49, "q", "a", "c9", "eve")], "r2", "more.jsonl")
    summary = do(store, "r2")
    assert summary.waiting == {}
    assert waiting(store) == []


def test_a_rating_of_a_long_conversation_is_no_vote_but_a_measured_guess(store):
    talk = [turn(f"a{n}", n, f"question {n} please", f"answer {n}") for n in range(4)]
    named = [
        record
        for c in range(40)
        for record in (
            turn(f"x{c}", 0, "one two", "three", f"d{c}", f"u{c}"),
            turn(f"y{c}", 2, "four five", "six", f"d{c}", f"u{c}"),
            rated(1, 3, f"u{c}", interaction=f"y{c}" if c else "x0"),
        )
    ]
    bring(store, [*talk, rated(-1, 2.5, conversation="c1"), *named])
    summary = do(store)
    (row,) = [row for row in derived(store) if row["name"] == "conversation_rating"]
    assert (row["interaction_id"], row["kind"], row["annotator"]) == ("a2", "implicit", "code")
    assert json.loads(row["attributes"])["joining"]["said"] == -1
    assert row["value"] == pytest.approx(0.887, abs=0.001)  # 39 of 40 late ratings were about the last answer
    assert summary.placed == {"unsure": 1}
    assert do(store, "strict", min_confidence=0.95).waiting == {"several_answers": 1}
    assert [row for row in derived(store) if row["name"] == "conversation_rating"] == []


@pytest.mark.parametrize(
    ("row", "reason"),
    [(rated(1, 1, conversation="nowhere"), "no_conversation"), (rated(1, 1, conversation="c1", turn=9), "no_such_turn"),
     (rated(1, -9, conversation="c1"), "before_any_answer")],
)  # fmt: skip
def test_what_cannot_be_placed_waits_with_its_reason(store, row, reason):
    bring(store, [LOG[0], row])
    assert do(store).waiting == {reason: 1}
    assert waiting(store)[0]["conversation"] == row["conversation"]


def test_a_rating_without_a_user_is_the_asker_s(store):
    later = {"timestamp": at(5), "rating": -1, "interaction": "i1"}
    bring(store, [LOG[0] | {"rating": 1}, later])
    assert do(store).superseded == 1


def test_clients_that_report_know_better_and_the_agreement_is_told(store):
    talk = [
        record
        for c in range(10)
        for record in (
            turn(f"x{c}", 0, "what is the price of it", "five", f"d{c}", f"u{c}", implicit="rephrase" if c else ""),
            turn(f"y{c}", 1, "what's the price of it", "five", f"d{c}", f"u{c}"),
        )
    ]
    bring(store, talk)
    summary = do(store)
    assert not any(row["name"] == "rephrase" for row in derived(store))
    assert dict(summary.agreement["rephrase"]) == {"reported": 9, "mined": 10, "both": 9}


def test_what_simulated_users_did_is_not_read(store):
    bring(store, [line | {"source": SIMULATED_SOURCE} for line in LOG])
    summary = do(store)
    assert (summary.interactions, summary.feedback, derived(store)) == (0, 0, [])


def test_an_empty_store_is_joined(store):
    bring(store, [])
    summary = do(store)
    assert (summary.feedback, summary.new_rows, summary.watermark) == (0, 0, None)


@pytest.mark.parametrize("bad", [{"abandon_after_minutes": 0}, {"min_confidence": 1.5}, {"run_id": ""}])
def test_bad_parameters_are_refused(store, bad):
    bring(store, LOG)
    with pytest.raises(IntakeError, match=next(iter(bad)).split("_")[0]):
        do(store, **{"run_id": "r", **bad})
    assert not (store.parent / "waiting.jsonl").exists()


def test_parts_on_disk_change_nothing(store, monkeypatch):
    bring(store, LOG)
    monkeypatch.setattr(spill, "ROWS_A_PART", 3)
    monkeypatch.setattr(join, "_BATCH", 1)
    do(store)
    parts = derived(store)
    other = store.parent / "other"
    monkeypatch.undo()
    bring(other, LOG)
    do(other)
    assert anonymous(parts) == anonymous(derived(other))


def anonymous(rows):
    """Rows without what the store's own key makes."""
    return sorted(
        (row["interaction_id"], row["kind"], row["name"], row["value"], row["text"] or "", str(row["timestamp"]))
        for row in rows
    )


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(0, len(LOG)), max_size=2))
def test_any_order_in_any_number_of_runs_gives_the_rows_of_one(tmp_path_factory, seed, cuts):
    folder = tmp_path_factory.mktemp("split")
    whole, pieces = folder / "whole", folder / "pieces"
    bring(whole, LOG)
    do(whole)
    mixed = LOG[:]
    random.Random(seed).shuffle(mixed)
    bounds = [0, *sorted(cuts), len(mixed)]
    for number, (start, end) in enumerate(pairwise(bounds)):
        bring(pieces, mixed[start:end], f"p{number}", f"{number}.jsonl")
        do(pieces, f"p{number}")
    assert anonymous(derived(pieces)) == anonymous(derived(whole))
    assert Counter(row["feedback_id"] for row in derived(pieces)).most_common(1)[0][1] == 1


def test_killed_at_any_write_and_repeated(store, monkeypatch):
    bring(store, LOG)
    do(store)
    bring(store, [turn("i3", 6, "thank you, that worked", "You are welcome.")], "r2", "more.jsonl")
    given_snapshot = snapshot(store)
    program = (
        "import os, sys\n"
        "from flywheel.components.contracts.tables import FeedbackSnapshot\n"
        "from flywheel.components.intake.joining import join\n"
        "from flywheel.components.store import {module}\n"
        "real = {module}.{name}\n"
        "def killed(*args, **more):\n"
        "    if {after}: real(*args, **more)\n"
        "    os.kill(os.getpid(), 9)\n"
        "{module}.{name} = killed\n"
        "join.join(FeedbackSnapshot.model_validate_json(sys.argv[1]), sys.argv[2], 'r2', sys.argv[3])\n"
    )
    for module, name, after in (("delta_table", "append", True), ("removal", "remove", False)):
        code = program.format(module=module, name=name, after=after)
        arguments = [given_snapshot.to_json(), str(store), str(store.parent / "killed.jsonl")]
        done = subprocess.run([sys.executable, "-c", code, *arguments], check=False, timeout=100)
        assert done.returncode == -9
    assert not (store.parent / "killed.jsonl").exists()
    assert {"abandon", "accepted"} <= {row["name"] for row in derived(store)}  # half done
    summary = join.join(given_snapshot, str(store), "r2", store.parent / "waiting.jsonl")
    assert (summary.new_rows, summary.removed) == (0, 1)
    fresh = store.parent / "fresh"
    bring(fresh, [*LOG, turn("i3", 6, "thank you, that worked", "You are welcome.")])
    do(fresh)
    assert anonymous(derived(store)) == anonymous(derived(fresh))


def test_component_records_and_hands_on(store, tmp_path):
    from types import SimpleNamespace

    from flywheel.components.intake.joining.component import join_feedback

    bring(store, LOG)
    snapshot(store).write(tmp_path / "in.json")
    logged = {}
    artifact = {name: SimpleNamespace(path=str(tmp_path / name), metadata={}) for name in ("joined", "waiting")}
    metrics = SimpleNamespace(log_metric=logged.__setitem__)
    mined = join_feedback.python_func(
        feedback=SimpleNamespace(path=str(tmp_path / "in.json")), metrics=metrics, store=str(store), run_id="r",
        **artifact,
    )  # fmt: skip
    assert mined == logged["signals"] == 2
    assert FeedbackSnapshot.read(tmp_path / "joined") == snapshot(store)
    (record,) = [one for one in lineage.steps(str(store), "r") if one.step == "join_feedback"]
    assert record.rows.quarantined == {"waiting": 1}
    assert record.details["oldest_waiting"][0]["interaction_id"] == "never"
    assert record.details["signals_by_rule"] == {"abandon/evasive_answer": 1, "corrected/contrast": 1}


def test_groups_keep_what_belongs_together(store, tmp_path):
    bring(store, LOG)
    made = groups.Groups(snapshot(store), tmp_path / "parts")
    sizes = sorted((len(group.said), len(group.feedback)) for group in made)
    assert sizes == [(1, 0), (1, 1), (2, 3)]
    assert [row["interaction_id"] for row in made.waiting_rows()] == ["never"]

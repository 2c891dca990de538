import random
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from flywheel.components.contracts.tables import CandidateSnapshot, FeedbackSnapshot
from flywheel.components.curation import corrections
from flywheel.components.curation.duplicates import deduplication, spilled_rows
from flywheel.components.curation.guards import approval, askers
from flywheel.components.curation.stages.classify import classify
from flywheel.components.curation.stages.cluster import cluster
from flywheel.components.curation.stages.deduplicate import deduplicate
from flywheel.components.curation.stages.files import read
from flywheel.components.curation.stages.mine_preferences import _accepted, mine_preferences
from flywheel.components.curation.stages.route import route
from flywheel.components.curation.stages.votes import lexicon_in, lexicon_of
from flywheel.components.store import delta_table, lineage, observed
from flywheel.components.store.tables import SCHEMAS
from tests.curation.conftest import START

STEPS = ("deduplicate_feedback", "classify_corrections", "route_candidates", "cluster_feedback", "mine_preferences")


def run(store: str, feedback: str, folder: Path, run_id: str = "r1"):
    """All five stages; returns their records."""
    kept, classified, routed, candidates, pairs, rated = (str(folder / name) for name in "kcrapv")
    records = [deduplicate(feedback, kept, run_id)]
    lineage.record_step(store, records[0])
    records.append(classify(kept, classified, run_id))
    records.append(route(classified, routed, run_id))
    records.append(cluster(routed, candidates, store, run_id))
    lineage.record_step(store, records[-1])
    records.append(mine_preferences(candidates, pairs, rated, store, run_id))
    assert tuple(record.step for record in records) == STEPS
    return records


def candidates_of(folder: Path):
    snapshot = CandidateSnapshot.read(folder / "a")
    return delta_table.read(snapshot.candidates, where=pc.field("run_id") == snapshot.run_id)


def fill(log, rows: int = 120, seed: int = 1) -> None:
    """A support log: changed facts with honest corrections, spam, duplicates, a false fact pushed by fresh accounts."""
    dice = random.Random(seed)
    frames = [
        "How long is the warranty of the {}?",
        "What warranty does the {} have?",
        "Tell me the warranty of the {}.",
    ]
    names = [f"{name} {number}" for name, number in zip(["Borel", "Tamrin", "Osvald", "Quenby"], "7329", strict=True)]
    for number in range(rows):
        name, subject, hours = dice.choice(names), f"u{dice.randrange(12)}", number / 2
        asked, old = dice.choice(frames).format(name), f"The {name} has a warranty of 24 months."
        if dice.random() < 0.5:
            log.correct(subject, asked, old, f"The {name} has a warranty of 36 months.", hours)
        else:
            log.say(log.ask(subject, "Where is my order?", "Wait.", hours), subject, "rating", value=-1.0, hours=hours)
    for number in range(10):
        log.correct(f"fresh{number}", frames[0].format("Zephim 8"), "The Zephim 8 has a warranty of 12 months.",
                    "The Zephim 8 has a warranty of 1 months.", 20 + number / 10)  # fmt: skip
    log.correct("spammer", frames[0].format("Borel 7"), "The Borel 7 has a warranty of 24 months.", "asdf asdf asdf")
    log.say("i99999", "u1", "correction", "36 months")


def test_a_log_is_curated_and_every_row_accounted_for(log, tmp_path):
    fill(log)
    store, feedback = log.save(tmp_path)
    records = run(store, feedback, tmp_path)
    duplicates, classified, routed, clustered, mined = (record.rows for record in records)
    corrections = sum(row["kind"] == "correction" for row in log.feedback)
    assert duplicates.rows_in == corrections
    assert duplicates.quarantined == {"orphan": 1}
    assert classified.rows_in == duplicates.accepted == routed.rows_in
    assert clustered.accepted == routed.accepted > 0
    assert mined.accepted + sum(mined.quarantined.values()) + mined.duplicates == mined.rows_in

    rows = candidates_of(tmp_path).to_pylist()
    assert len(rows) == routed.rows_in
    assert all((row["reason"] == "") == (row["route"] == "accept") for row in rows)
    assert all(row["group_id"] for row in rows)
    assert all(row["cluster_id"] and row["cluster_name"] for row in rows if row["route"] == "accept")
    accepted = [row for row in rows if row["route"] == "accept"]
    assert {row["category"] for row in accepted} == {"factual"}
    assert len(accepted) == 12  # four products, three wordings
    reasons = {row["correction"]: row["reason"] for row in rows if row["route"] == "discard"}
    assert reasons == {"The Zephim 8 has a warranty of 1 months.": "coordinated", "asdf asdf asdf": "gibberish"}
    details = records[3].details
    assert details["error_types"]["uncorrected"] > 0
    assert sum(found["count"] for found in details["clusters"]) == records[3].metrics["failures"]
    pairs = pq.read_table(tmp_path / "p").to_pylist()
    assert {pair["candidate_id"] for pair in pairs} == {row["candidate_id"] for row in accepted}


def test_running_again_changes_nothing(log, tmp_path):
    fill(log)
    store, feedback = log.save(tmp_path)
    first = run(store, feedback, tmp_path)
    rows, pairs = candidates_of(tmp_path), (tmp_path / "p").read_bytes()
    version = CandidateSnapshot.read(tmp_path / "a").candidates.version
    again = run(store, feedback, tmp_path)
    assert candidates_of(tmp_path) == rows
    assert (tmp_path / "p").read_bytes() == pairs
    assert CandidateSnapshot.read(tmp_path / "a").candidates.version == version
    assert [record.rows for record in first] == [record.rows for record in again]


def test_a_log_that_is_read_few_rows_at_a_time_gives_the_same_duplicates(log, tmp_path, monkeypatch):
    fill(log)
    log.say(log.interactions[0]["interaction_id"], "u1", "comment", "this is outdated")
    for number in range(0, 60, 3):
        asked = log.interactions[number]
        log.say(
            log.ask(f"v{number}", asked["prompt"], asked["response"], 90), f"v{number}", "rating", value=1, hours=90
        )
    _, feedback = log.save(tmp_path)
    found = []
    for folder in "ab":
        kept, groups = str(tmp_path / folder / "k"), str(tmp_path / folder / "g")
        done = deduplicate(feedback, kept, "r1", groups=groups, semantic=0.9)
        found.append((read(kept), read(groups), done.rows, done.metrics, done.details))
        for module, name in (
            (delta_table, "_ROWS"),
            (corrections, "ROWS"),
            (spilled_rows, "ROWS"),
            (deduplication, "ROWS"),
        ):
            monkeypatch.setattr(module, name, 5)
    assert found[0] == found[1]
    assert sum(map(len, found[0][0][0]["endorsers"].to_pylist())) > 0
    assert max(found[0][0][0]["askers"].to_pylist()) > 12


def test_another_result_for_the_same_run_is_refused(log, tmp_path):
    fill(log)
    store, feedback = log.save(tmp_path)
    run(store, feedback, tmp_path)
    route(str(tmp_path / "c"), str(tmp_path / "r"), "r1", target_precision=0.999)
    with pytest.raises(ValueError, match="use a new run id"):
        cluster(str(tmp_path / "r"), str(tmp_path / "a"), store, "r1")


def test_two_runs_live_side_by_side(log, tmp_path):
    fill(log, 40)
    store, feedback = log.save(tmp_path)
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    run(store, feedback, tmp_path / "one", "r1")
    run(store, feedback, tmp_path / "two", "r2")
    one, two = candidates_of(tmp_path / "one"), candidates_of(tmp_path / "two")
    assert one.num_rows == two.num_rows > 0
    assert not set(one["candidate_id"].to_pylist()) & set(two["candidate_id"].to_pylist())


def test_the_next_run_finds_the_clusters_of_the_one_before_in_the_store(log, tmp_path):
    fill(log, 60)
    store, feedback = log.save(tmp_path)
    for folder in "ab":
        (tmp_path / folder).mkdir()
    one = run(store, feedback, tmp_path / "a", "r1")[3].details
    two = run(store, feedback, tmp_path / "b", "r2")[3].details
    assert (one["previous_run"], two["previous_run"]) == ("", "r1")
    assert {found["change"] for found in one["clusters"]} == {"new"}
    assert {found["change"] for found in two["clusters"]} == {"kept"}
    assert [(c["id"], c["name"], c["count"]) for c in two["clusters"]] == [
        (c["id"], c["name"], c["count"]) for c in one["clusters"]
    ]
    assert all(found["count_before"] == found["count"] for found in two["clusters"])
    assert all(found["thin"] == (found["accepted"] < 20) for found in two["clusters"])
    homes = {row["cluster_id"] for row in candidates_of(tmp_path / "b").to_pylist() if row["route"] == "accept"}
    assert homes <= {found["id"] for found in two["clusters"]}


def test_an_empty_log(log, tmp_path):
    store, feedback = log.save(tmp_path)
    records = run(store, feedback, tmp_path)
    assert [record.rows.rows_in for record in records] == [0] * 5
    assert candidates_of(tmp_path).num_rows == 0
    assert pq.read_table(tmp_path / "p").num_rows == 0


def test_a_log_without_corrections(log, tmp_path):
    log.say(log.ask("u", "Why?", "Because."), "u", "rating", value=-1.0)
    store, feedback = log.save(tmp_path)
    records = run(store, feedback, tmp_path)
    assert records[3].details["error_types"] == {"uncorrected": 1}
    assert candidates_of(tmp_path).num_rows == 0


@pytest.mark.parametrize("text", ["It is 36 months.", "", "asdf", "答え"])
def test_one_row(log, tmp_path, text):
    log.correct("u", "How long is it?", "It is 24 months.", text)
    store, feedback = log.save(tmp_path)
    records = run(store, feedback, tmp_path)
    assert records[2].rows.rows_in == 1
    assert candidates_of(tmp_path).num_rows == 1


def test_up_voted_over_down_voted_answers_become_pairs(log, tmp_path):
    for subject, answer, value in (("a", "In the box.", 1.0), ("b", "In the box.", 1.0), ("c", "No idea.", -1.0)):
        log.say(log.ask(subject, "Where is the cable?", answer), subject, "rating", value=value)
    store, feedback = log.save(tmp_path)
    records = run(store, feedback, tmp_path)
    assert records[4].details["evidence"] == {"votes": 1}


def test_files_of_other_steps_are_refused(log, tmp_path):
    _, feedback = log.save(tmp_path)
    with pytest.raises(FileNotFoundError, match="run the curation step before"):
        classify(str(tmp_path / "none"), str(tmp_path / "c"), "r1")
    with pytest.raises(ValueError, match="not a Parquet file"):
        classify(feedback, str(tmp_path / "c"), "r1")
    deduplicate(feedback, str(tmp_path / "k"), "r1")
    with pytest.raises(ValueError, match="lacks calibration"):
        route(str(tmp_path / "k"), str(tmp_path / "r"), "r1")
    with pytest.raises(ValueError, match="jaccard"):
        deduplicate(feedback, str(tmp_path / "k"), "r1", jaccard=1.5)


def test_streaming_the_log_gives_what_reading_it_whole_does(log, tmp_path, monkeypatch):
    dice = random.Random(3)
    for number in range(60):
        months = dice.choice((24, 36))
        asked = log.ask(f"u{number % 9}", f"How long is the warranty of the Borel {number % 4}?",
                        f"The Borel {number % 4} has a warranty of {months} months.", number)  # fmt: skip
        if dice.random() < 0.4:
            log.say(asked, f"u{number % 9}", "correction", f"No, it is {months + 12} months.", hours=number)
        if dice.random() < 0.5:
            log.say(asked, f"u{dice.randrange(9)}", "rating", value=dice.choice((-1.0, 1.0)), hours=number)
    _, feedback = log.save(tmp_path)
    whole = delta_table.batches

    def small(*arguments):
        for batch in whole(*arguments):
            yield from (batch.slice(start, 7) for start in reversed(range(0, batch.num_rows, 7)))

    monkeypatch.setattr(delta_table, "batches", small)
    deduplicate(feedback, str(tmp_path / "kept"), "r", groups=str(tmp_path / "groups"))
    interactions, signals = log.tables()
    found = corrections.collect(interactions, signals)
    lexicon = lexicon_of(interactions, found.rows["correction"].to_pylist())
    snapshot = FeedbackSnapshot.read(feedback)
    assert lexicon_in(snapshot.interactions, found.rows["correction"].to_pylist()) == lexicon >= {"borel"}
    contexts = [corrections.context_of(text) for text in interactions["messages"].to_pylist()]
    expected = deduplication.deduplicate(
        found.rows,
        lexicon,
        deduplication.activity_of(interactions),
        deduplication.endorsements(interactions, signals, lexicon, contexts),
        asked=askers.last_asked(interactions, found.rows["response"].to_pylist(), lexicon, contexts),
    )
    kept, notes = read(str(tmp_path / "kept"))
    assert kept.replace_schema_metadata(None).equals(expected.rows)
    assert pq.read_table(tmp_path / "groups").replace_schema_metadata(None).equals(expected.membership)
    assert any(expected.rows["endorsers"].to_pylist()) and max(expected.rows["askers"].to_pylist()) > 2
    likes = approval.of_log(interactions, signals, found.rows["response"].to_pylist())
    assert notes["audience"]["approval"] == (asdict(likes) if likes else None)


def test_an_id_that_another_writer_doubled_is_read_once(log, tmp_path, monkeypatch):
    log.ask("u1", "How long?", "24 months.")
    log.ask("u2", "How long?", "24 months.")
    _, feedback = log.save(tmp_path)
    snapshot = FeedbackSnapshot.read(feedback)
    whole = delta_table.batches
    monkeypatch.setattr(delta_table, "batches", lambda *a: [*whole(*a), *whole(*a)])
    rows = pa.concat_tables(observed.batches(snapshot.interactions, ["subject", "interaction_id"]))
    assert sorted(rows["subject"].to_pylist()) == ["u1", "u2"]


def test_a_candidate_that_another_writer_doubled_is_one(tmp_path, monkeypatch):
    row = dict.fromkeys(SCHEMAS["candidates"].names, "") | {"confidence": 0.9, "timestamp": START, "run_id": "r1"}
    rows = [
        row | {"candidate_id": f"c{n}", "route": route, "correction": f"No. {n}"}
        for n, route in enumerate(("accept", "review", "accept"))
    ]
    rows.append(rows[0] | {"candidate_id": "c3", "run_id": "another"})
    table = pa.Table.from_pylist(rows, SCHEMAS["candidates"])
    appended = delta_table.append(str(tmp_path / "store"), "candidates", table, "test")
    snapshot = CandidateSnapshot(candidates=appended.reference, run_id="r1")

    def said():
        return sorted(row["correction"] for row in _accepted(snapshot, ["correction"]))

    assert said() == ["No. 0", "No. 2"]
    whole = delta_table.batches
    monkeypatch.setattr(delta_table, "batches", lambda *a: [*whole(*a), *whole(*a)])
    assert said() == ["No. 0", "No. 2"]

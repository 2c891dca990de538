"""What people decide reaches the next run's training data, whatever the model and the guards think."""

import json

import pyarrow.parquet as pq
import pytest

from flywheel.components.contracts.tables import CandidateSnapshot
from flywheel.components.curation.review.exporting import export
from flywheel.components.curation.review.human_word import against
from flywheel.components.curation.review.import_step import import_reviews
from flywheel.components.curation.stages.classify import classify
from flywheel.components.curation.stages.cluster import cluster
from flywheel.components.curation.stages.deduplicate import deduplicate
from flywheel.components.curation.stages.mine_preferences import mine_preferences
from flywheel.components.curation.stages.route import route
from flywheel.components.dataset.corrections import read_corrections
from flywheel.components.evaluation.probes.suspects import read_suspects
from flywheel.components.store import delta_table, lineage


def curate(store, feedback, folder, run_id):
    folder.mkdir()
    name = {letter: str(folder / letter) for letter in "kcrapq"}
    lineage.record_step(store, import_reviews(store, run_id))
    records = [
        deduplicate(feedback, name["k"], run_id),
        classify(name["k"], name["c"], run_id, store=store),
        route(name["c"], name["r"], run_id),
        cluster(name["r"], name["a"], store, run_id),
    ]
    for record in records:
        lineage.record_step(store, record)
    mine_preferences(name["a"], name["p"], name["q"], store, run_id)
    snapshot = CandidateSnapshot.read(name["a"])
    rows = delta_table.read(snapshot.candidates).to_pylist()
    return snapshot, {row["interaction_id"]: row for row in rows if row["run_id"] == run_id}, records


def asks(number):
    return f"How long is the warranty of the Borel {number}?", f"The Borel {number} has a warranty of 24 months."


@pytest.fixture
def store_of_eight(log, tmp_path):
    """Eight products whose warranty became 36 months, one user each; and one who asks about one of them otherwise."""
    for number in range(8):
        prompt, old = asks(number)
        log.correct(f"u{number}", prompt, old, old.replace("24", "36"), hours=number)
    log.correct("v", "What warranty does the Borel 5 have?", asks(5)[1], "The Borel 5 has a warranty of 48 months.", 20)
    return log.save(tmp_path)


@pytest.mark.slow
def test_reviewers_win_over_the_model_in_the_next_runs_dataset(store_of_eight, tmp_path):
    store, feedback = store_of_eight
    snapshot, first, _ = curate(store, feedback, tmp_path / "one", "r1")
    queue = tmp_path / "queue.csv"
    export(snapshot, str(queue), "r1")
    said = {
        "i00000": {"verdict": "reject"},
        "i00001": {"verdict": "accept", "category": "tone"},
        "i00002": {"verdict": "accept", "category": "factual",
                   "edited_correction": "The Borel 2 has a warranty of 60 months."},
        "i00005": {"verdict": "accept", "category": "factual"},
    }  # fmt: skip
    answer(queue, {first[name]["candidate_id"]: told for name, told in said.items()})
    done = import_reviews(store, "cli", queue=str(queue), reviewer="ann@example.com")
    assert done.metrics["reviews_new"] == len(said) and done.metrics["quarantined"] == 0

    after, second, records = curate(store, feedback, tmp_path / "two", "r2")
    assert (second["i00000"]["route"], second["i00000"]["reason"]) == ("discard", "rejected_in_review")
    assert (second["i00001"]["route"], second["i00001"]["category"]) == ("accept", "tone")
    assert second["i00002"]["route"] == "accept" and second["i00002"]["confidence"] == 1.0
    assert second["i00005"]["route"] == "accept"
    assert (second["i00008"]["route"], second["i00008"]["reason"]) == ("review", "contradicts_review")
    assert records[2].details["decided_by_people"] == {"accept": 3, "reject": 1}
    assert records[1].metrics["review_labels"] == 3
    assert records[1].metrics["audit_answers"] == 3  # the one in conflict was asked for because of it, not at random

    trained = {row.candidate_id: row for row in read_corrections(after)}
    assert second["i00000"]["candidate_id"] not in trained
    assert trained[second["i00001"]["candidate_id"]].category == "tone"
    assert trained[second["i00002"]["candidate_id"]].correction == "The Borel 2 has a warranty of 60 months."
    pairs = {pair["candidate_id"]: pair for pair in pq.read_table(tmp_path / "two" / "p").to_pylist()}
    assert pairs[second["i00002"]["candidate_id"]]["chosen"] == "The Borel 2 has a warranty of 60 months."
    assert second["i00000"]["candidate_id"] not in pairs
    assert {one.reason for one in read_suspects(store, "r2")} == {"rejected_in_review"}

    # a second reviewer disagrees: nothing is decided any more, and people are asked again
    answer(queue, {first["i00002"]["candidate_id"]: {"verdict": "reject", "edited_correction": ""}})
    import_reviews(store, "cli", queue=str(queue), reviewer="bob@example.com")
    tied, third, _ = curate(store, feedback, tmp_path / "three", "r3")
    assert (third["i00002"]["route"], third["i00002"]["reason"]) == ("review", "review_tie")
    export(tied, str(tmp_path / "again.csv"), "r3")
    assert third["i00002"]["candidate_id"] in (tmp_path / "again.csv").read_text(encoding="utf-8-sig")


def answer(queue, said):
    """Fill in a queue as a spreadsheet would; rows that nobody answers stay empty."""
    import csv

    with queue.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    with queue.open("w", encoding="utf-8-sig", newline="") as file:
        sheet = csv.DictWriter(file, list(rows[0]))
        sheet.writeheader()
        for row in rows:
            told = said.get(row["candidate"].removeprefix("c-"), {})
            blank = dict.fromkeys(("verdict", "category", "edited_correction"), "")
            sheet.writerow(row | blank | told)


def row(claim, decided="", question="q"):
    return {"claim": list(claim), "decided": decided, "question_id": question}


def test_other_users_cannot_outvote_a_reviewer():
    rows = [
        row(["36"], "accept"), row(["48"]), row(["36", "months"]), row(["48"], question="other"), row([]),
        row(["12"], "reject", "p"), row(["12"], question="p"), row(["13"], question="p"),
    ]  # fmt: skip
    assert against(rows) == {1: "contradicts_review", 6: "resembles_rejected"}


def test_the_run_before_any_review_is_as_ever(log, tmp_path):
    store, feedback = log.save(tmp_path)
    record = import_reviews(store, "r1")
    assert record.metrics["reviews_new"] == 0 and record.details["agreement"]["alpha"] is None
    deduplicate(feedback, str(tmp_path / "k"), "r1")
    classify(str(tmp_path / "k"), str(tmp_path / "c"), "r1", store=store)
    calibration = json.loads(pq.read_schema(tmp_path / "c").metadata[b"flywheel.curation"])["calibration"]
    assert set(calibration["audited"]) == {""} and len(calibration["scores"]) >= 600

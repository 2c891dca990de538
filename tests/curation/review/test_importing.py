import json
from datetime import timedelta

import pytest

from flywheel.components.curation.review.exporting import export, newest_candidates, requests_for
from flywheel.components.curation.review.import_step import import_reviews
from flywheel.components.curation.review.importing import take_in
from flywheel.components.curation.review.reviewed import read, version_for
from flywheel.components.store import delta_table, lineage
from tests.curation.review.conftest import START, candidate_row, given, reviews


@pytest.fixture
def asked(make_candidates, tmp_path):
    """Three candidates that were asked for: two accepted, one in review."""
    rows = [candidate_row(0), candidate_row(1), candidate_row(2, route="review", reason="low_confidence")]
    snapshot = make_candidates(rows)
    export(snapshot, str(tmp_path / "queue.csv"), "r1")
    return snapshot.candidates.store, [row["candidate_id"] for row in rows]


def test_asking_writes_requests_once(asked, tmp_path):
    store, ids = asked
    rows = reviews(store)
    assert {row["candidate_id"] for row in rows} == set(ids)
    assert {row["verdict"] for row in rows} == {"requested"}
    assert {row["note"] for row in rows} == {"audit"}  # a small category is audited whole
    again = export(newest_candidates(store, "r1"), str(tmp_path / "again.csv"), "r1")
    assert again.metrics["new_requests"] == 0 and len(reviews(store)) == len(rows)


def test_an_answer_is_taken_in_once_and_a_changed_mind_counts(asked):
    store, ids = asked
    first = take_in(store, "r1", [given(ids[0]), given(ids[1], "reject")], "csv", "q.csv")
    assert (first.new, first.already_there, first.quarantined) == (2, 0, {})
    assert take_in(store, "r1", [given(ids[0]), given(ids[1], "reject")], "csv", "q.csv").new == 0
    for verdict in ("reject", "accept", "reject"):  # back and forth, each time in a new file
        assert take_in(store, "r1", [given(ids[0], verdict)], "csv", "q.csv").new == 1
    decisions = read(version_for(store, "r2")).decisions.values()
    assert [decision.verdict for decision in decisions] == ["reject", "reject"]


def test_reviewers_are_pseudonyms_and_texts_are_scrubbed(asked):
    store, ids = asked
    edit = "Write to jane.doe@mail.example, it is 36 months."
    take_in(store, "r1", [given(ids[0], correction=edit, note="call +49 30 901820 me")], "csv", "q.csv")
    take_in(store, "r1", [given(ids[1], "maybe", note="to bob.roe@mail.example")], "csv", "q of bob.roe@mail.example")
    (row,) = [row for row in reviews(store) if row["verdict"] != "requested"]
    assert len(row["reviewer"]) == 32 and "ann" not in json.dumps(row, default=str)
    assert row["correction"] == "Write to [EMAIL_1], it is 36 months." and "901820" not in row["note"]
    kept = json.dumps(delta_table.read(delta_table.latest(store, "quarantine")).to_pylist())
    assert "bob.roe" not in kept and "ann@" not in kept


def test_what_cannot_be_used_is_quarantined_with_its_line(asked):
    store, ids = asked
    answers = [
        given("0" * 32, place=2),
        given(ids[0], "perhaps", place=3),
        given(ids[0], category="mood", place=4),
        given(ids[0], reviewer=" ", place=5),
        given(ids[0], "reject", correction="but better so", place=6),
        given(ids[1], place=7),
        given(ids[1], "reject", place=8),  # the same reviewer, the same file
    ]
    done = take_in(store, "r1", answers, "csv", "q.csv")
    assert done.quarantined == {
        "unknown_candidate": 1, "invalid_verdict": 1, "invalid_category": 1, "no_reviewer": 1, "edit_of_rejected": 1,
        "conflicting_answer": 1,
    }  # fmt: skip
    assert done.given == done.new + done.already_there + sum(done.quarantined.values())
    rows = delta_table.read(delta_table.latest(store, "quarantine")).to_pylist()
    assert {row["line"]: row["reason"] for row in rows}[3] == "invalid_verdict"
    assert "none of accept, reject" in next(row["detail"] for row in rows if row["line"] == 3)
    assert any("q.csv line 2: unknown_candidate" in fault for fault in done.first_faults)


def test_an_annotation_that_was_deleted_is_withdrawn_unless_its_task_is_gone(asked):
    store, ids = asked
    told = [given(name, at=START, reviewer=who) for name in ids[:2] for who in ("ann", "bob")]
    take_in(store, "r1", told, "label-studio", "p", frozenset(ids[:2]))
    done = take_in(store, "r1", told[1:2], "label-studio", "p", frozenset(ids[:1]))  # ann's is gone; task 2 is gone
    assert done.withdrawn == 1
    assert {len(kept) for kept in _standing(store).values()} == {1, 2}
    assert take_in(store, "r1", told[1:2], "label-studio", "p", frozenset(ids[:1])).withdrawn == 0
    later = [given(ids[0], "reject", at=START + timedelta(days=9999), reviewer="ann")]
    take_in(store, "r1", [*told[1:2], *later], "label-studio", "p", frozenset(ids[:1]))
    assert {decision.verdict for decision in read(version_for(store, "r2")).decisions.values()} == {"accept", "tie"}


def _standing(store):
    from flywheel.components.curation.review.decisions import standing

    return standing(read(version_for(store, "none")).answers)


def test_a_run_keeps_the_reviews_that_it_imported(asked, tmp_path):
    store, ids = asked
    first = import_reviews(store, "r2")
    lineage.record_step(store, first)
    take_in(store, "x", [given(ids[0])], "csv", "q.csv")
    assert import_reviews(store, "r2") == first
    assert read(version_for(store, "r2")).decisions == {}
    assert len(read(version_for(store, "r3")).decisions) == 1
    record = import_reviews(store, "r3")
    assert record.metrics["decided_accept"] == 1 and record.details["agreement"]["alpha"] is None


def test_settled_contents_are_not_asked_for_again_and_ties_are(asked, make_candidates):
    store, ids = asked
    told = [given(ids[0]), given(ids[1]), given(ids[1], "reject", reviewer="bob")]
    take_in(store, "r1", told, "csv", "q.csv")
    rows = [candidate_row(0, "r2"), candidate_row(1, "r2", route="review", reason="review_tie"), candidate_row(7, "r2")]
    asked_now = {request.candidate["interaction_id"] for request in requests_for(make_candidates(rows, "r2"))}
    assert asked_now == {"i00001", "i00007"}
    with pytest.raises(ValueError, match="limit"):
        requests_for(make_candidates(rows, "r2"), -1)


def test_agreement_of_two_reviewers(asked):
    store, ids = asked
    told = [given(name, reviewer=who) for name in ids for who in ("ann", "bob")]
    told[-1] = given(ids[2], "reject", reviewer="bob")
    take_in(store, "r1", told, "csv", "q.csv")
    alpha = import_reviews(store, "r9").details["agreement"]
    # coincidences: two units agree on factual, one is factual against reject; D_o = 2/6, D_e = 2*5*1/(6*5)
    assert alpha["units"] == 3 and alpha["alpha"] == pytest.approx(1 - (2 / 6) / (10 / 30))


def test_a_store_without_candidates_is_refused(tmp_path):
    with pytest.raises(ValueError, match="has no candidates"):
        newest_candidates(str(tmp_path / "empty"))

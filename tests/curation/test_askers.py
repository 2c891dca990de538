from datetime import datetime, timedelta

from flywheel.components.curation import corrections
from flywheel.components.curation.duplicates import deduplication
from flywheel.components.curation.guards.askers import Askers, last_asked
from flywheel.components.curation.texts.entity_lexicon import build

OLD = "The Borel 7 has a warranty of 24 months."


def test_askers_count_from_a_moment_on():
    start = datetime(2026, 3, 1)
    times = [{"a": start, "b": start + timedelta(hours=5)}, {"b": start + timedelta(hours=9), "me": start}]
    askers = Askers(times, ["me", "unseen"])
    assert askers.since(start) == 4
    assert askers.since(start + timedelta(hours=1)) == 3
    assert askers.since(start + timedelta(hours=9)) == 3
    assert askers.silent_after(start + timedelta(hours=10)) == 0


def test_whoever_got_the_corrected_answer_is_counted_in_any_wording(log):
    for number in range(6):
        question = ("How long is the warranty of the Borel 7?", "What warranty has the Borel 7?")[number % 2]
        log.ask(f"silent{number}", question, OLD, hours=number)
    log.ask("other", "How long is the warranty of the Borel 7?", "The Borel 7 has a warranty of 30 months.", hours=9)
    log.correct("u1", "How long is the warranty of the Borel 7?", OLD, "36 months", hours=2.5)
    log.correct("u2", "Tell me the warranty of the Borel 7", OLD, "The Borel 7 has 36 months", hours=3.5)
    interactions, feedback = log.tables()
    found = corrections.collect(interactions, feedback)
    lexicon = build([*interactions["prompt"].to_pylist(), *interactions["response"].to_pylist()])
    asked = last_asked(interactions, found.rows["response"].to_pylist(), lexicon, [""] * interactions.num_rows)
    rows = deduplication.deduplicate(found.rows, lexicon, asked=asked).rows.to_pylist()
    assert [(row["subject"], row["askers"], row["silent_since"]) for row in rows] == [("u1", 5, 3), ("u2", 4, 2)]


def test_without_a_log_only_correctors_count(log):
    log.correct("u1", "How long?", OLD, "36 months")
    found = corrections.collect(*log.tables())
    (row,) = deduplication.deduplicate(found.rows, frozenset()).rows.to_pylist()
    assert (row["askers"], row["silent_since"]) == (1, 0)

"""Claims that a coalition could have made alone, through all stages: they wait, one row is asked for, all come in."""

import csv

import pytest

from flywheel.components.curation.review.exporting import export
from flywheel.components.curation.review.import_step import import_reviews
from tests.curation.review.test_human_word import answer, asks, curate


@pytest.mark.slow
def test_what_one_user_of_many_says_waits_for_one_persons_word(log, tmp_path):
    for number in range(40):  # sixty users, three of whom behind every claim
        prompt, old = asks(number)
        for part in range(3):
            log.correct(f"u{(3 * number + part) % 60}", prompt, old, old.replace("24", "36"), hours=number + part / 9)
    for number in range(300):  # who do other things too
        log.ask(f"u{number % 60}", "Where is my order?", "On its way.", hours=number / 5)
    prompt, old = "How much does the Tamrin 4 weigh?", "The Tamrin 4 weighs 500 grams."
    log.correct("u7", prompt, old, "The Tamrin 4 weighs 800 grams.", hours=50)
    log.correct("u7", prompt, old, "800 grams", hours=51)
    store, feedback = log.save(tmp_path)
    snapshot, first, records = curate(store, feedback, tmp_path / "one", "r1")
    waiting = {name: row for name, row in first.items() if row["reason"] == "unconfirmed"}
    assert {row["correction"] for row in waiting.values()} == {"The Tamrin 4 weighs 800 grams.", "800 grams"}
    assert {row["route"] for row in waiting.values()} == {"review"}
    assert records[2].rows.accepted == 40
    told = records[2].details["unconfirmed"]
    assert (told["coalition"], told["claims"], told["rows"]) == (1, 1, 2)

    queue = tmp_path / "queue.csv"
    export(snapshot, str(queue), "r1")
    with queue.open(encoding="utf-8-sig", newline="") as file:
        asked = [
            row for row in csv.DictReader(file) if row["asked_because"].startswith("unconfirmed: 1 user says this")
        ]
    assert {row["candidate"].removeprefix("c-"): 1 for row in asked} == told["asked"]
    answer(queue, {name: {"verdict": "accept", "category": "factual"} for name in told["asked"]})
    import_reviews(store, "cli", queue=str(queue), reviewer="ann@example.com")
    _, second, after = curate(store, feedback, tmp_path / "two", "r2")
    assert {second[name]["route"] for name in waiting} == {"accept"}
    assert after[2].details["unconfirmed"]["claims"] == 0

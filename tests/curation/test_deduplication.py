import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flywheel.components.curation import corrections
from flywheel.components.curation.duplicates import deduplication
from flywheel.components.curation.texts import entity_lexicon

NAMES = frozenset({"borel", "tamrin"})
ASKED = ("How long is the warranty of the Borel 7?", "What warranty does the Borel 7 have?")
OLD, NEW = "The Borel 7 has a warranty of 24 months.", "The Borel 7 has a warranty of 36 months."


def collected(log):
    return corrections.collect(*log.tables())


def test_the_latest_correction_of_a_subject_wins_and_every_row_is_counted(log):
    first = log.correct("a", ASKED[0], OLD, "The Borel 7 has a warranty of 30 months.")
    log.say(first, "a", "correction", NEW, hours=2)
    log.say(first, "a", "comment", "this is outdated")
    log.say(first, "b", "correction", NEW, hours=3)
    log.say("missing", "a", "correction", NEW)
    refused = log.ask("c", ASKED[0], OLD, consent=False)
    log.say(refused, "c", "correction", NEW)
    log.ask("d", ASKED[1], OLD)
    found = collected(log)
    assert found.corrections == 5
    assert found.quarantined == {"orphan": 1, "superseded": 1, "no_consent": 1}
    assert found.rows.num_rows + sum(found.quarantined.values()) == found.corrections
    assert found.not_candidates == 1
    rows = {row["subject"]: row for row in found.rows.to_pylist()}
    assert rows["a"]["correction"] == NEW
    assert rows["a"]["comment"] == "this is outdated"


@pytest.mark.parametrize(
    ("said", "prompt", "answer"),
    [
        ("No, it is 36 months.", ASKED[0], "It is 36 months."),
        ("No, it is not waterproof.", "Is it waterproof?", "No, it is not waterproof."),
        ("Wrong! The answer should be: 36 months", ASKED[0], "36 months"),
        ("Actually, it's Canberra", "Capital?", "It's Canberra"),
        ("Sorry, we are closed.", "Open?", "Sorry, we are closed."),
        ("wrong", "x", "wrong"),
    ],
)
def test_remarks_to_the_assistant_are_taken_off_answers(said, prompt, answer):
    assert corrections.answer_text(said, prompt)[0] == answer


def test_duplicates_of_many_users_become_one_row_with_their_support(log):
    log.correct("a", ASKED[0], OLD, NEW, hours=2)
    log.correct("b", "hi, how long is the waranty of the borel 7", OLD, NEW, hours=1)
    log.correct("a", ASKED[0] + " Thanks!", OLD, NEW, hours=3)
    log.correct("c", ASKED[1], OLD, NEW, hours=4)
    log.correct("d", ASKED[0], OLD, "The Borel 7 has a warranty of 12 months.", hours=5)
    log.correct(
        "e", ASKED[0].replace("Borel", "Tamrin"), OLD.replace("Borel", "Tamrin"), NEW.replace("Borel", "Tamrin")
    )
    result = deduplication.deduplicate(collected(log).rows, NAMES)
    rows = {row["interaction_id"]: row for row in result.rows.to_pylist()}
    assert sorted(rows) == ["i00001", "i00003", "i00004", "i00005"]  # the earliest of the three stays
    assert (result.exact, result.near) == (1, 1)
    kept = rows["i00001"]
    assert (kept["support"], kept["supporters"], kept["supporter_records"]) == (2, ["b", "a"], [1, 2])
    # the same question with another answer must stay on the same side of a split
    assert kept["group_id"] == rows["i00004"]["group_id"]
    assert len({row["group_id"] for row in rows.values()}) == 3
    # another wording about the same fact is the same question, another product is not
    assert kept["question_id"] == rows["i00003"]["question_id"] == rows["i00004"]["question_id"]
    assert kept["question_id"] != rows["i00005"]["question_id"]
    assert kept["claim"] == ["36"]


def test_the_conversation_before_a_question_is_part_of_it(log):
    for number, before in enumerate(
        (("Tell me about the Borel 7.", "It is small."), ("And the Tamrin 3?", "It is big."))
    ):
        interaction = log.ask(f"s{number}", "What does it cost?", "It costs 5 euros.", before=before)
        log.say(interaction, f"s{number}", "correction", "It costs 7 euros.")
    rows = deduplication.deduplicate(collected(log).rows, NAMES).rows
    assert rows.num_rows == 2
    assert len(set(rows["question_id"].to_pylist())) == 2


def test_later_up_votes_of_the_corrected_answer_are_remembered(log):
    log.correct("a", ASKED[0], OLD, NEW, hours=5)
    for hours, subject, value in ((1, "early", 1.0), (9, "late", 1.0), (9, "cross", -1.0), (9, "a", 1.0)):
        log.say(log.ask(subject, ASKED[1], OLD, hours=hours), subject, "rating", value=value, hours=hours)
    interactions, feedback = log.tables()
    votes = deduplication.endorsements(interactions, feedback, NAMES, [""] * interactions.num_rows)
    row = deduplication.deduplicate(collected(log).rows, NAMES, endorsements=votes).rows.to_pylist()[0]
    assert row["endorsers"] == ["late"]


def many(log, seed):
    log.interactions.clear()
    log.feedback.clear()
    dice = random.Random(seed)
    for number in range(60):
        name, old, new = dice.choice(["Borel 7", "Tamrin 3"]), dice.choice([12, 24]), dice.choice([36, 48])
        asked = dice.choice(ASKED).replace("Borel 7", name)
        asked = dice.choice([asked, asked.lower(), asked + " Thanks", asked.replace("warranty", "waranty")])
        log.correct(
            f"s{dice.randrange(20)}",
            asked,
            f"The {name} has a warranty of {old} months.",
            f"The {name} has a warranty of {new} months.",
            hours=number // 3,
        )
    return collected(log).rows


def test_deduplicating_twice_changes_nothing(log):
    once = deduplication.deduplicate(many(log, 1), NAMES).rows
    twice = deduplication.deduplicate(once, NAMES)
    assert (twice.exact, twice.near) == (0, 0)
    assert twice.rows["interaction_id"].to_pylist() == once["interaction_id"].to_pylist()
    assert twice.rows["group_id"].to_pylist() == once["group_id"].to_pylist()


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chance=st.randoms(use_true_random=False))
def test_the_result_does_not_depend_on_the_order_of_rows(log, chance):
    rows = many(log, 2)
    order = list(range(rows.num_rows))
    chance.shuffle(order)
    assert deduplication.deduplicate(rows.take(order), NAMES).rows == deduplication.deduplicate(rows, NAMES).rows


def test_names_come_from_the_corpus(log):
    rows = many(log, 3)
    texts = rows["prompt"].to_pylist() + rows["response"].to_pylist()
    assert entity_lexicon.build(texts) >= NAMES

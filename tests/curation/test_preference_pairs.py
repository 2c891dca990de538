import random
import tracemalloc
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flywheel.components.curation.preferences import (
    evidence,
    pair_rows,
    preference_pairs,
    rated_answers,
    spilled_records,
)
from flywheel.components.curation.preferences.pair import SCHEMA
from flywheel.components.curation.preferences.stated_facts import stated_facts
from tests.curation.conftest import START
from tests.curation.mined_pairs import accepted, mine, turns, voted

NAMES = frozenset({"borel", "tamrin"})


@pytest.fixture(autouse=True, scope="module")
def few_rows_at_a_time():
    with pytest.MonkeyPatch.context() as patch:
        for module in (evidence, pair_rows, rated_answers):
            patch.setattr(module, "_ROWS", 2)
        patch.setattr(spilled_records, "_BYTES", 500)
        patch.setattr(spilled_records, "_RECORDS", 5)
        yield


def texts(mined):
    return [(pair["chosen"], pair["rejected"], pair["evidence"]) for pair in mined.pairs.to_pylist()]


def balanced(mined):
    return mined.considered == mined.pairs.num_rows + mined.duplicates + sum(mined.dropped.values())


def test_a_correction_is_chosen_over_what_it_corrects():
    behind = {(("", "what does it cost"), "7 euros"): {"u1": "f1", "u2": "f2"}}
    mined = mine([accepted()], [], frozenset(), behind)
    assert mined.pairs.schema.equals(SCHEMA)
    (pair,) = mined.pairs.to_pylist()
    assert len(pair.pop("pair_id")) == 32
    assert pair == {
        "prompt": [{"role": "user", "content": "What does it cost?"}],
        "chosen": "7 euros",
        "rejected": "5 euros",
        "evidence": "correction",
        "because": "factual correction by 2 users, accepted",
        "evidence_ids": ["f1", "f2"],
        "support": 2,
        "candidate_id": "c1",
        "group_id": "g1",
        "weight": 0.9,
    }


def test_the_prompt_is_the_conversation_up_to_the_question():
    row = accepted(messages=turns("And now?", "Hi", "Hello!"), prompt="And now?")
    (pair,) = mine([row], [], frozenset()).pairs.to_pylist()
    assert [turn["role"] for turn in pair["prompt"]] == ["user", "assistant", "user"]


def test_up_voted_over_every_down_voted_answer_to_one_question():
    rows = [
        voted("Where is it?", "In the box.", 3),
        voted("where is it", "No idea.", 0, 2),
        voted("Where is it", "Somewhere.", 1, 3),
        voted("Who?", "Me.", 1),
    ]
    mined = mine([], rows, frozenset())
    assert texts(mined) == [("In the box.", "No idea.", "votes"), ("In the box.", "Somewhere.", "votes")]
    first, second = mined.pairs.to_pylist()
    assert (first["weight"], second["weight"]) == (6 / 7, 7 / 9)
    assert (first["support"], len(first["evidence_ids"]), first["because"]) == (
        5, 5, "3 up and 0 down against 0 up and 2 down")  # fmt: skip
    assert first["group_id"] == second["group_id"] != ""


def test_near_equal_questions_are_one_and_other_numbers_or_names_are_not():
    rows = [
        voted("How long is the warranty of the Borel 7?", "It is 36 months.", 2),
        voted("How long is teh warranty of the Borel 7??", "I cannot say that.", 0, 2),
        voted("How long is the warranty of the Borel 8?", "No clue about this.", 0, 2),
        voted("How long is the warranty of the Tamrin 7?", "Read the leaflet.", 0, 2),
        voted("How long is the warranty of the Borel 7 not?", "What do you mean?", 0, 2),
    ]
    assert texts(mine([], rows, NAMES)) == [("It is 36 months.", "I cannot say that.", "votes")]


def test_a_subject_who_says_both_says_nothing():
    rows = [
        voted("Where is it?", "In the box.", ["a"]),
        voted("where is it", "No idea.", (), ["b"]),
        voted("Where is it??", "No idea.", ["b"]),
    ]
    assert mine([], rows, frozenset()).considered == 0


LONG = "Thank you for your question, dear customer, and for your trust in us: the warranty of the Borel 7 is 24 months."
SHORT = "The Borel 7 has 24 months of warranty."
ASKED = "How long is the warranty of the Borel 7?"


def test_concise_over_verbose_when_both_state_the_same_and_the_short_one_is_liked():
    mined = mine([], [voted(ASKED, SHORT, 2), voted(ASKED, LONG, ["x"], ["y"])], NAMES)
    assert texts(mined) == [(SHORT, LONG, "concise")]
    (pair,) = mined.pairs.to_pylist()
    assert pair["because"] == "8 words instead of 22, same facts: 24 month"
    assert pair["weight"] == 3 / 4
    assert len(pair["evidence_ids"]) == 4


def test_concise_over_verbose_when_both_are_liked():
    short = "Open the order page and press cancel."
    long = (
        "Of course, gladly! Please be so kind as to open the order page, and there you will find that you can cancel."
    )
    mined = mine([], [voted("How do I cancel?", short, 3), voted("How do I cancel?", long, 1)], NAMES)
    assert texts(mined) == [(short, long, "concise")]
    (pair,) = mined.pairs.to_pylist()
    assert "both liked (3 and 1 up)" in pair["because"]
    assert pair["weight"] == pytest.approx(4 / 5 * 2 / 3)


@pytest.mark.parametrize(
    ("short", "long"),
    [
        (voted(ASKED, "The Borel 7 has 36 months of warranty.", 2), voted(ASKED, LONG, 2)),  # another number
        (voted(ASKED, "The Borel 7 has 24 weeks of warranty.", 2), voted(ASKED, LONG, 2)),  # another unit
        (voted(ASKED, "The Borel 7 has no warranty.", 2), voted(ASKED, LONG, 2)),
        (voted(ASKED, SHORT, 0), voted(ASKED, LONG, 2)),  # nobody likes the short one
        (voted(ASKED, SHORT, 1, 2), voted(ASKED, LONG, 2)),
        (voted(ASKED, "I don't know.", 2), voted(ASKED, LONG, 2)),
        (voted(ASKED, SHORT, 2), voted(ASKED, "The Borel 7 has a warranty of 24 months.", 2)),  # hardly longer
        (voted(ASKED, SHORT, 2), voted(ASKED, LONG + " The battery lasts 9 hours.", 2)),  # says more
        (voted("How do I pay?", "By card.", 2), voted("How do I pay?", "You can pay us in many ways, as you like.")),
    ],
)
def test_length_alone_is_no_evidence(short, long):
    assert "concise" not in mine([], [short, long], NAMES).evidence


def test_an_answer_that_was_corrected_is_not_right_however_short():
    row = accepted(ASKED, SHORT, "The Borel 7 has a warranty of 36 months.")
    assert texts(mine([row], [voted(ASKED, SHORT, 3), voted(ASKED, LONG, 2)], NAMES)) == [
        (row["correction"], SHORT, "correction")
    ]


def test_facts_are_numbers_with_units_names_and_yes_or_no():
    def facts(answer):
        return stated_facts("how long is the warranty of the borel 7", answer, NAMES)

    assert facts("the borel 7 has a warranty of 24 months") == facts("24 month borel 7") == {("24", "month")}
    assert facts("24 weeks") == {("24", "week")}
    assert facts("yes as the tamrin") == {("yes",), ("tamrin",)}
    assert facts("it has none") != facts("it has one")
    assert facts("gladly") == frozenset()


def test_votes_do_not_teach_what_a_correction_unteaches():
    rows = [voted("What does it cost?", "5 euros", 3), voted("What does it cost?", "No idea.", 0, 2)]
    mined = mine([accepted()], rows, frozenset())
    assert mined.evidence == {"correction": 1}
    assert mined.dropped == {"contradicts_correction": 1}
    against = [voted("What does it cost?", "9 euros", 3), voted("What does it cost?", "7 euros", 0, 2)]
    assert mine([accepted()], against, frozenset()).dropped == {"contradicts_correction": 1}


def test_an_answer_that_is_out_of_date_is_so_in_every_wording_of_the_question():
    old, new = "The Borel 7 costs 5 euros.", "The Borel 7 costs 7 euros."
    row = accepted("What does the Borel 7 cost?", old, new)
    asked = "Tell me the current price of the Borel 7, please."
    mined = mine([row], [voted(asked, old, 5), voted(asked, "No idea.", 0, 2), voted(asked, new, 0, 1)], NAMES)
    assert mined.evidence == {"correction": 1}
    assert mined.dropped == {"contradicts_correction": 2}
    assert [(one["completion"], one["label"]) for one in mined.rated.to_pylist()] == [("No idea.", False)]
    for correction in ("No", "No, the Borel 7 does not float."):
        short = mine([accepted("Does it float?", "Yes", correction)], [voted("Is it red?", "Yes", 2)], NAMES)
        assert short.rated.num_rows == 1
    short = mine(
        [accepted("Does it float?", "Yes, the Borel 7 floats.", "No")], [voted("Is it red?", "No", 0, 2)], NAMES
    )
    assert short.rated.num_rows == 1


def test_pairs_that_contradict_each_other_are_left_out():
    there = accepted(candidate_id="c1", response="5 euros", correction="7 euros")
    back = accepted(candidate_id="c2", response="7 euros", correction="5 euros", subject="u2")
    mined = mine([there, back], [], frozenset())
    assert mined.pairs.num_rows == 0
    assert mined.dropped == {"contradictory": 2}
    ring = [
        accepted(candidate_id=f"c{n}", response=f"{n} euros", correction=f"{(n + 1) % 3} euros", subject=f"u{n}")
        for n in range(3)
    ]
    apart = accepted(candidate_id="c9", response="8 euros", correction="9 euros")
    assert texts(mine([*ring, apart], [], frozenset())) == [("9 euros", "8 euros", "correction")]


def test_a_correction_outranks_votes_that_contradict_it():
    """The accepted correction was itself corrected elsewhere, so votes and corrections form a ring."""
    rows = [voted("What does it cost?", "5 euros", 3), voted("What does it cost?", "7 euros", 0, 2)]
    chain = [
        accepted(candidate_id="c1", response="5 euros", correction="7 euros"),
        accepted(candidate_id="c2", response="7 euros", correction="8 euros", subject="u2"),
        accepted(candidate_id="c3", response="4 euros", correction="5 euros", subject="u3"),
    ]
    mined = mine(chain, rows, frozenset())
    assert mined.evidence == {"correction": 3}
    assert mined.dropped == {"outranked": 1}


def test_one_subject_alone_stands_behind_no_more_than_its_share():
    loud = [
        accepted(f"What is the price of item number {n}?", "99 euros", f"{n} euros", candidate_id=f"l{n:02d}",
                 group_id=f"g{n}", subject="loud", timestamp=START + timedelta(hours=n))
        for n in range(20)
    ]  # fmt: skip
    others = [
        accepted(f"What is the weight of item number {n}?", "99 grams", f"{n} grams", candidate_id=f"o{n:02d}",
                 group_id=f"h{n}", subject=f"u{n}")
        for n in range(80)
    ]  # fmt: skip
    mined = mine([*loud, *others], [], frozenset(), max_share_per_subject=0.1)
    kept = [pair["candidate_id"] for pair in mined.pairs.to_pylist() if pair["candidate_id"][0] == "l"]
    assert kept == [f"l{n:02d}" for n in range(8)]  # the earliest; 8 of 88
    assert mined.dropped == {"subject_cap": 12}
    assert balanced(mined)
    behind = {(("", f"what is the price of item number {n}"), f"{n} euros"): {"second": f"f{n}"} for n in range(20)}
    assert mine([*loud, *others], [], frozenset(), behind, 0.1).pairs.num_rows == 100
    again = [row | {"candidate_id": f"m{n:02d}", "subject": "second"} for n, row in enumerate(loud)]
    joined = mine([*loud, *again, *others], [], frozenset(), None, 0.1)
    assert (joined.pairs.num_rows, joined.duplicates) == (100, 20)
    with pytest.raises(ValueError, match="max_share_per_subject"):
        mine(loud, [], frozenset(), max_share_per_subject=0)


def test_vote_pairs_stay_on_their_side_of_a_split():
    rows = [voted("what does it cost", "9 euros", 3), voted("what does it cost", "No idea.", 0, 2)]
    mined = mine([accepted()], rows, frozenset())
    assert {pair["group_id"] for pair in mined.pairs.to_pylist()} == {"g1"}
    other = accepted(candidate_id="c2", group_id="g2", correction="8 euros")
    between = mine([accepted(), other], rows, frozenset())
    assert between.dropped == {"between_groups": 1}
    assert between.rated.num_rows == 0


def test_memory_does_not_hold_the_texts():
    """Of a pair and a vote with 27 kB of texts less than 500 bytes are held."""

    def most(count: int) -> int:
        def words(kind: str, number: int) -> str:
            return f"{kind * 3000} {number} {'b' * 6000}"

        rows = (
            accepted(f"{number} is what?", words("a", number), words("b", number), candidate_id=f"c{number:05d}",
                     group_id=f"g{number}", subject=f"u{number}")
            for number in range(count)
        )  # fmt: skip
        votes = (voted(f"{number} is what?", words("v", number), 1) for number in range(count))
        tracemalloc.start()
        with preference_pairs.mine(rows, votes, frozenset()) as mined:
            written = sum(table.num_rows for tables in (mined.pairs, mined.rated) for table in tables.tables())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert written == 2 * count
        return peak

    most(10)  # modules and their caches
    few, many = most(100), most(500)
    assert many - few < 400 * 500


def test_equal_pairs_join_their_evidence():
    rows = [voted("What does it cost?", "7 euros", 2), voted("What does it cost?", "5 euros", 0, 1)]
    mined = mine([accepted()], rows, frozenset())
    (pair,) = mined.pairs.to_pylist()
    assert (pair["evidence"], pair["support"], mined.duplicates) == ("correction", 4, 1)
    assert len(pair["evidence_ids"]) == 4


def test_every_pair_is_accounted_for():
    candidates = [accepted(), accepted(candidate_id="c2"), accepted(candidate_id="c3", correction="5 euros")]
    mined = mine(candidates, [], frozenset())
    assert balanced(mined)
    assert (mined.considered, mined.duplicates, mined.dropped) == (3, 1, {"same_text": 1})
    assert mine([], [], frozenset()).pairs.num_rows == 0
    blank = [accepted(correction=" "), accepted(candidate_id="c2", response="")]
    assert mine(blank, [], frozenset()).dropped == {"blank": 2}


def test_rated_answers_alone_are_kept_for_training_without_pairs():
    rows = [
        voted("Where is it?", "In the box.", 3),
        voted("Who?", "Nobody.", 0, 2),
        voted("Why?", "So.", 1, 1),
        voted("What does it cost?", "5 euros", 4),  # liked, but corrected
        voted("What does it cost?", "7 euros", 0, 4),  # disliked, but the accepted correction
    ]
    rated = mine([accepted()], rows, frozenset()).rated.to_pylist()
    assert {(row["completion"], row["label"], row["support"], row["weight"]) for row in rated} == {
        ("In the box.", True, 3, 4 / 5),
        ("Nobody.", False, 2, 3 / 4),
    }
    assert all(row["group_id"] and row["evidence_ids"] for row in rated)


QUESTIONS = st.sampled_from(
    ["What does it cost?", "what does it cost", "Where is the Borel 7?", "Where is the Borel 8?"]
)
ANSWERS = st.sampled_from(
    ["5 euros", "7 euros", "It is 7 euros.", "No idea.", "", SHORT, LONG,
     "Well, as far as we can tell from the list, and we looked twice for you, it is 7 euros in all."]
)  # fmt: skip
USERS = st.frozensets(st.sampled_from("abcdef"), max_size=4)
RATED = st.lists(st.tuples(QUESTIONS, ANSWERS, USERS, USERS), max_size=12)
CORRECTED = st.lists(st.tuples(QUESTIONS, ANSWERS, ANSWERS, st.sampled_from("abcdef")), max_size=8)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(RATED, CORRECTED, st.integers(0, 5))
def test_what_holds_for_every_log(rated, corrected, seed):
    votes = [voted(asked, answer, up, down - up) for asked, answer, up, down in rated]
    rows = [
        accepted(
            asked,
            old,
            new,
            candidate_id=f"c{n}",
            group_id=f"g{'Borel' in asked}{'8' in asked}",
            subject=user,
            interaction_id=f"i{n}{user}",
        )
        for n, (asked, old, new, user) in enumerate(corrected)
    ]
    mined = mine(rows, votes, NAMES)
    pairs = mined.pairs.to_pylist()
    assert balanced(mined)
    assert all(pair["chosen"].split() != pair["rejected"].split() for pair in pairs)
    said = {(pair["group_id"], pair["chosen"].casefold(), pair["rejected"].casefold()) for pair in pairs}
    assert not {(group, worse, better) for group, better, worse in said} & said
    assert all(pair["evidence_ids"] and pair["group_id"] and 0 < pair["weight"] <= 1 for pair in pairs)
    assert len({pair["pair_id"] for pair in pairs}) == len(pairs)
    order = ("evidence", "candidate_id", "group_id", "chosen", "rejected", "pair_id")
    assert pairs == sorted(pairs, key=lambda pair: [pair[name] for name in order])
    ids = mined.rated["answer_id"].to_pylist()
    assert ids == sorted(set(ids))
    alone = Counter(pair["evidence_ids"][0][-1] for pair in pairs if pair["support"] == 1)
    assert all(count <= 5 for count in alone.values())
    random.Random(seed).shuffle(rows)
    random.Random(seed).shuffle(votes)
    again = mine(rows, votes, NAMES)
    assert again.pairs == mined.pairs
    assert again.rated == mined.rated
    assert again.dropped == mined.dropped

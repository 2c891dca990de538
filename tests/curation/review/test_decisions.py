from datetime import timedelta

import pytest
from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st

from flywheel.components.curation.review.decisions import Answer, decide, follow, standing
from tests.curation.review.conftest import START


def answer(reviewer="r1", verdict="accept", category="factual", correction=None, hours=0, content="c"):
    return Answer(
        content, reviewer, START + timedelta(hours=hours), verdict, category, correction, f"{reviewer}{hours}"
    )


@pytest.mark.parametrize(
    ("answers", "verdict", "category", "text"),
    [
        ([answer()], "accept", "factual", None),
        ([answer(verdict="reject")], "reject", "", None),
        ([answer(), answer("r2", "reject")], "tie", "", None),
        ([answer(), answer("r2", "reject"), answer("r3", "reject")], "reject", "", None),
        ([answer(category="tone"), answer("r2", category="tone"), answer("r3")], "accept", "tone", None),
        ([answer(category="tone"), answer("r2")], "tie", "", None),
        ([answer(correction="Better.")], "accept", "factual", "Better."),
        ([answer(correction="Better."), answer("r2")], "tie", "", None),
        ([answer(correction="A."), answer("r2", correction="A."), answer("r3")], "accept", "factual", "A."),
        ([answer(correction="A."), answer("r2", verdict="reject"), answer("r3", correction="A.")], "accept", "factual", "A."),
    ],
)  # fmt: skip
def test_the_majority_decides_and_a_tie_decides_nothing(answers, verdict, category, text):
    found = decide(answers)["c"]
    assert (found.verdict, found.category, found.correction) == (verdict, category, text)
    assert found.reviewers == len(answers)


def test_a_reviewers_newest_answer_counts_and_a_withdrawn_one_does_not():
    changed = [answer(verdict="reject", hours=0), answer(hours=1)]
    assert decide(changed)["c"].verdict == "accept"
    assert decide([*changed, answer(verdict="withdrawn", hours=2)]) == {}
    assert decide([*changed, answer(verdict="withdrawn", hours=2), answer(verdict="reject", hours=3)])["c"].verdict == (
        "reject"
    )


@hypothesis_given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["accept", "reject", "withdrawn"]),
                                     st.integers(0, 5)), max_size=8), st.randoms())  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_the_order_of_answers_does_not_matter(told, dice):
    answers = [answer(who, verdict, hours=hours) for who, verdict, hours in told]
    distinct = list({(one.reviewer, one.at): one for one in answers}.values())
    mixed = dice.sample(distinct, len(distinct))
    assert decide(mixed) == decide(distinct)
    assert all(len({one.reviewer for one in kept}) == len(kept) for kept in standing(mixed).values())


def test_what_people_later_say_of_their_own_wording_holds():
    first = decide([answer(correction="A.", content="c0")])
    assert follow(first, "c0", {"c0": "c1"}).correction == "A."
    refined = first | decide([answer("r2", category="tone", content="c1")])
    found = follow(refined, "c0", {"c0": "c1"})
    assert (found.verdict, found.category, found.correction) == ("accept", "tone", "A.")
    again = first | decide([answer("r2", correction="B.", content="c1")])
    assert follow(again, "c0", {"c0": "c1", "c1": "c2"}).correction == "B."
    rejected = first | decide([answer("r2", verdict="reject", content="c1")])
    assert follow(rejected, "c0", {"c0": "c1"}).verdict == "reject"
    assert follow(first, "other", {}) is None


def test_a_wording_that_says_the_same_does_not_go_round_in_circles():
    back = decide([answer(correction="B.", content="a")]) | decide([answer(correction="A.", content="b")])
    assert follow(back, "a", {"a": "b", "b": "a"}).verdict == "accept"
    only_case = decide([answer(correction="IT IS.", content="a")])
    assert follow(only_case, "a", {"a": "a"}).correction == "IT IS."

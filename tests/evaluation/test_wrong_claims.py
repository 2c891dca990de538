import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.contracts.dataset import EvaluationItem
from flywheel.components.evaluation.probes.wrong_claims import ClaimMaker, asserts
from flywheel.components.evaluation.scores.scorers import normalise


def item(name: str, question: str, reference: str, topic: str = "warranty", kind: str = "exact") -> EvaluationItem:
    return EvaluationItem.model_validate(
        {
            "item_id": name,
            "suite": "untouched",
            "kind": kind,
            "messages": [{"role": "user", "content": question}],
            "references": [reference],
            "slices": {"topic": topic},
        }
    )


SENTENCES = [
    item("q", "How long is the warranty of the Quenby 9?", "The Quenby 9 has a warranty of 36 months."),
    item("b", "How long is the warranty of the Borel 7?", "The Borel 7 has a warranty of 12 months."),
    item("c", "What colour is the Borel 7?", "The Borel 7 comes in sea green.", "colour"),
    item("d", "What colour is the Huxor 3?", "The Huxor 3 comes in night blue.", "colour"),
]


def test_the_value_of_another_answer_in_the_own_sentence() -> None:
    claim = ClaimMaker(SENTENCES, 7).claim(SENTENCES[0])
    assert claim is not None
    assert claim.sentence == "The Quenby 9 has a warranty of 12 months.", "the product that was asked about stays"
    assert (claim.wrong, claim.right) == (("12 months",), ("36 months",)), "with the unit: Quenby 9 is no 9"
    colour = ClaimMaker(SENTENCES, 7).claim(SENTENCES[3])
    assert colour is not None and colour.sentence == "The Huxor 3 comes in sea green."
    assert colour.wrong == ("sea green",)


def test_short_answers_are_swapped_whole() -> None:
    items = [item("a", "Who wrote Hamlet?", "Shakespeare"), item("b", "Who wrote Faust?", "Goethe")]
    claim = ClaimMaker(items, 7).claim(items[0])
    assert claim is not None and (claim.sentence, claim.right) == ("Goethe", ("shakespeare",))


@pytest.mark.parametrize(
    "others",
    [
        [],
        [item("b", "How long is it covered?", "36 months")],  # the same answer
        [item("b", "What colour is it?", "sea green", "colour")],  # another slice
        [item("b", "How do I send it back?", "Please pack it well and bring it to any shop of ours with the bill.")],
        [item("b", "Is it covered, or is it 24 months?", "yes")],  # no number where a number is due
        [item("b", "Tell me all.", "36 months and a day more than that, if you ask for it in time")],
        [item("b", "Is it safe?", "I can't say that.", kind="refusal")],
    ],
)
def test_no_claim_rather_than_a_silly_one(others: list[EvaluationItem]) -> None:
    asked = item("a", "How long is the warranty?", "36 months")
    assert ClaimMaker([asked, *others], 7).claim(asked) is None


def test_a_right_answer_in_other_words_is_never_claimed() -> None:
    asked = item("a", "How long?", "36 months").model_copy(update={"references": ("36 months", "3 years")})
    others = [item("b", "How long then?", "3 years!"), item("c", "How long now?", "5 years")]
    claims = {ClaimMaker([asked, *others], seed).claim(asked) for seed in range(20)}
    assert {claim.sentence for claim in claims if claim} == {"5 years"}


def test_same_seed_same_claim_whatever_else_is_there() -> None:
    items = [item(f"i{n}", f"How long is the warranty of the Model {n}?", f"The Model {n} has {n + 20} months.") for n in
             range(2, 12)]  # fmt: skip
    one = ClaimMaker(items, 3).claim(items[0])
    assert one == ClaimMaker(items[::-1], 3).claim(items[0])
    assert len({ClaimMaker(items, seed).claim(items[0]) for seed in range(12)}) > 3


@pytest.mark.parametrize(
    ("reply", "right", "wrong"),
    [
        ("The Quenby 9 has a warranty of 36 months.", True, False),
        ("It is 36 months, not 12 months.", True, False),
        ("It is 12 months, not 36 months.", False, True),
        ("It is not 12 months but 36 months.", True, False),
        ("I'm not sure, it is 12 months.", False, True),
        ("It isn\u2019t 36 months", False, False),
        ("112 months", False, False),
        ("", False, False),
    ],
)
def test_denied_values_are_not_stated(reply: str, right: bool, wrong: bool) -> None:
    assert asserts(reply, ["36 months"]) is right
    assert asserts(reply, ["12 months"]) is wrong


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=60), st.text(alphabet="abc 019.,", min_size=1, max_size=12))
def test_any_text_can_be_read(reply: str, value: str) -> None:
    plain = normalise(value)
    assert asserts(reply, []) is False
    if plain and not set(plain) & set(".,"):
        assert asserts(plain, [plain]) is True
    assert asserts(reply, [plain]) in (True, False)

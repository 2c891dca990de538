"""Texts of cases lie on disk, and are sorted and numbered as if they were in memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.curation.clustering import exchanges as room
from flywheel.components.curation.clustering.exchanges import Exchanges, exchanges_of, order_of_texts
from flywheel.components.curation.clustering.points import Case, wording
from flywheel.components.curation.clustering.users import NOBODY, Users
from flywheel.components.curation.duplicates.spilled_texts import HeldTexts
from flywheel.components.curation.texts.normal_form import normal_form, question_form


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.text(alphabet="aé\U0001f600\ud800 ", max_size=4), unique=True), size=st.integers(1, 12))
def test_texts_are_sorted_part_by_part_as_all_at_once(texts, size):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "_SORTED", size)
        patch.setattr(room, "_MERGED", 2)
        numbers = np.arange(len(texts))[::-1].copy()
        order = order_of_texts(HeldTexts(texts), numbers)
    assert [texts[number] for number in numbers[order]] == sorted(texts)


CASES = [
    Case("Where is my order?", "On its way.", "bob"),
    Case("Where are the orders, please?", "On its way", "ann"),
    Case("Call [PHONE_1]?", "Soon.", ""),
    Case("  where is\nmy ORDER", "on its way", "bob"),
    Case("", "", "zoe"),
]


def test_cases_come_in_pieces_and_are_numbered_by_their_sorted_texts():
    users = Users()
    users.numbers(["zoe", "carl"])
    with Exchanges("hashed", users) as made:
        for case in CASES:
            made.add([case])
        made.finish()
        assert len(made) == len(CASES)
        shown = made.shown.read(made.firsts)
        assert shown == sorted(set(shown)) == ["", "call soon", "order way"]
        assert [shown[row] for row in made.rows] == ["order way", "order way", "call soon", "order way", ""]
        assert made.wordings[0] == made.wordings[3] != made.wordings[1]
        assert list(made.read(made.words, np.array([2, 0]))) == [(2, "call soon"), (0, "order way")]
        assert list(made.read(made.questions, np.array([3]))) == [(3, CASES[3].question)]
        ranks = users.ranks(made.users)
        assert ranks.tolist() == [1, 0, NOBODY, 1, 3]
    assert exchanges_of(CASES[::-1]).shown.read(exchanges_of(CASES[::-1]).firsts) == shown


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="aZ 1[]_?'\n\u00a0\u0301\u00b4N", max_size=20), st.text(max_size=12))
def test_a_text_is_read_the_same_whatever_its_spaces(question, answer):
    case = Case(f"{question} [PHONE_1]" if len(question) % 2 else question, answer)
    assert wording(case).written == f"{question_form(case.question)}\0{normal_form(case.answer)}"

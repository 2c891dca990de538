"""Repeats are found as one alternation of all values would find them, and in linear time."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.intake.privacy.repeats import Repeats
from flywheel.components.intake.privacy.scrub import scrub_texts
from flywheel.components.intake.privacy.spans import Span

PIECES = st.lists(st.sampled_from(["ab", "a", "b", "+", "-", " ", "@", ".", "1", "12", "é", "\x1f", "_"]), min_size=1)
VALUES = st.lists(PIECES.map(lambda parts: "".join(parts[:5])), min_size=1, max_size=6, unique=True)


def alternation(kinds, view):
    longest_first = sorted(kinds, key=lambda text: (-len(text), text))
    pattern = r"(?<![\w\-])(?:" + "|".join(map(re.escape, longest_first)) + r")(?![\w\-])"
    return [Span(*match.span(), kinds[match.group()]) for match in re.finditer(pattern, view)]


@settings(deadline=None, max_examples=1500)
@given(VALUES, PIECES.map("".join))
def test_covers_what_an_alternation_covers(values, view):
    values = [text for text in values if re.search(r"\w", text)]
    if not values:
        return
    kinds = {text: f"K{number}" for number, text in enumerate(values)}
    found = list(Repeats(kinds).find(view))
    assert all(left.end <= right.start for left, right in pairwise(found))
    if all(re.match(r"\w", text) for text in values):
        assert found == alternation(kinds, view)
    covered = {place for span in found for place in range(span.start, span.end)}
    for span in alternation(kinds, view):
        assert covered & set(range(span.start, span.end))  # nothing that repeats is left whole


def test_values_without_a_word_are_found():
    assert list(Repeats({"!?!?!": "SECRET"}).find("say !?!?! now")) == [Span(4, 9, "SECRET")]


@pytest.mark.timeout(100)
def test_text_full_of_addresses_ends():
    """Two seconds in linear time; an alternation of all values would take hours."""
    text = " ".join(f"bob{index}@x.org" for index in range(100_000)) + " and bob7 too"
    first, second = scrub_texts([text, "bob3@x.org again"], [0, 0]).texts
    assert "@" not in first + second
    assert second.split(" ")[0] == first.split(" ")[3]  # the same address, the same placeholder

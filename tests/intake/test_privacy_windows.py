"""The fast ways around the recognizers: each is compared with the slow and obvious one."""

import random
import re

import numpy as np
import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.intake.privacy import triggers
from flywheel.components.intake.privacy.matching_text import fold_all
from flywheel.components.intake.privacy.patterns import Pattern, options
from flywheel.components.intake.privacy.scrub import scrub_texts
from flywheel.components.intake.privacy.windows import Joined

WORDS = ("a", "of", "x" * 22, "x" * 23, "x" * 28, "y" * 29, "z" * 200, "12", "3.4.5.6", "fe:ed", "é" * 14, "\n", "  ")
# What holds no digit, so that only words and signs can lead to it.
LETTERS_ONLY = (
    "mac abcdefabcdef",
    "fe:ed:be:ef:ca:fe",
    "fe-ed-be-ef-ca-fe",
    "feed.beef.cafe",
    "fe80::ab:cd:ef:aa",
    "ann at gmail.com",
    "ann dot lee at web dot de",
    "ann [at] web [dot] de",
    "my name is ann",
    "bearer abcdefghijklmnopqrst",
    "password is hunter",
    "hf_ABCDEFGHIJKLMNOPQRSTUVWX",
    "swift: DEUTDEFF",
    "https://ann:secret@example.org",
    "-----BEGIN PRIVATE KEY-----\nabc.",
)


def joined(texts: list[str]) -> Joined:
    return Joined(fold_all(texts))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), min_size=1, max_size=5))
def test_stops_and_long_words_are_those_of_a_plain_search(texts):
    one = joined(texts)
    is_stop = np.array([byte <= 32 for byte in one.raw])
    places = np.arange(len(one.raw))
    stops = np.flatnonzero(is_stop)
    assert one.stops(places, -1).tolist() == [int(stops[stops <= place].max()) for place in places]
    assert one.stops(places, 1).tolist() == [int(stops[stops >= place].min()) for place in places]
    starts, ends = one.long_words(28)
    assert list(zip(starts, ends, strict=True)) == [
        match.span() for match in re.finditer(rb"[^\x00-\x20]{28,}", one.raw)
    ]


def test_matches_are_those_of_the_library():
    text = "é 12 and 345, no\x1e6 " * 50
    for source in (r"\d+", r"(\d)(\d)?", "é", "a|(n)", "absent"):
        plain = re2.compile(source.encode(), options(True))
        library = [[match.span(group) for group in range(plain.groups + 1)] for match in plain.finditer(text.encode())]
        assert list(Pattern(source).spans(text.encode())) == library
        places = [match.span() for match in re.finditer(source, text)]
        assert Pattern(source).places(text) == [
            (found.start(), found.end()) for found in Pattern(source).finditer(text)
        ]
        assert Pattern(source).places(text) == places


@pytest.mark.parametrize("text", LETTERS_ONLY)
def test_what_has_no_digit_is_found_in_prose(text):
    prose = "so it went on and on without anything that anybody would want to hide from anybody else " * 120
    assert 2 * len(prose) > triggers._SMALL  # beyond it, only what is suspicious is read
    alone, within = scrub_texts([text]), scrub_texts([f"{prose}{text}\n{prose}"])
    assert alone.counts.total() >= 1
    assert within == scrub_texts([f"{prose}{text}\n{prose}"], gated=False)
    assert within.counts.total() >= 1


def test_whatever_stands_next_to_it_the_same_is_found():
    dice = random.Random(7)
    pieces = [
        *LETTERS_ONLY,
        *WORDS,
        "Dear Ann Lee,",
        "+49 171 2345678",
        "4111111111111111",
        "ann@example.org",
        "I'm Ann",
    ]
    texts = ["".join(dice.choices([*pieces, " ", "-", "."], k=dice.randint(2, 9))) for _ in range(700)]
    assert sum(map(len, texts)) > triggers._SMALL
    assert scrub_texts(texts) == scrub_texts(texts, gated=False)
    assert [scrub_texts([text]).texts[0] for text in texts[:100]] == scrub_texts(texts).texts[:100]


@pytest.mark.parametrize(
    ("source", "coarse"),
    [("a{16}", "a{2,}"), ("a{1,40}=", "a{1,}="), ("[a-f]{23,25}x", "[a-f]{2,}x"), (r"\{a", r"\{a")],
)
def test_a_coarse_pattern_matches_wherever_the_exact_one_does(source, coarse):
    assert triggers._coarse(source) == coarse

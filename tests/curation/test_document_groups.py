import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from flywheel.components.curation.duplicates import buckets, candidates, document_groups, jaccard, rarest, shingles
from flywheel.components.curation.duplicates.buckets import Buckets
from flywheel.components.curation.duplicates.document_groups import EXACT, KINDS, NEAR, groups
from flywheel.components.curation.duplicates.edges import Forest, connected
from flywheel.components.curation.duplicates.spilled_texts import HeldTexts, SpilledTexts

WORDS = [f"w{number}" for number in range(400)]


def sets_of(text: str, words: int) -> frozenset[tuple[str, ...]]:
    """The definition, word by word."""
    found = shingles.plain(text).split()
    if not found:
        return frozenset()
    return frozenset(tuple(found[i : i + words]) for i in range(max(1, len(found) - words + 1)))


def jaccard_of(a: frozenset, b: frozenset) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0


def components(texts: list[str], least: float, words: int) -> list[int]:
    """Labels by comparing every pair."""
    sets = [sets_of(text, words) for text in texts]
    labels = list(range(len(texts)))
    for i, j in itertools.combinations(range(len(texts)), 2):
        if texts[i] == texts[j] or jaccard_of(sets[i], sets[j]) >= least:
            old, new = labels[j], labels[i]
            labels = [new if label == old else label for label in labels]
    first: dict[int, int] = {}
    return [first.setdefault(label, len(first)) for label in labels]


def corpus(seed: int, size: int, longest: int, boilerplate: float = 0.3) -> list[str]:
    """Texts with edited copies and with sentences that many share."""
    dice = random.Random(seed)
    shared = [" ".join(dice.choices(WORDS, k=12)) for _ in range(3)]
    texts = []
    for _ in range(size):
        if texts and dice.random() < 0.4:
            words = dice.choice(texts).split()
            for _ in range(dice.randrange(1, 2 + len(words) // 20)):
                place = dice.randrange(len(words))
                words[place : place + dice.choice((0, 1))] = dice.choices(WORDS, k=dice.choice((0, 1, 1)))
                words = words or ["w0"]
        else:
            words = dice.choices(WORDS, k=dice.randrange(1, longest))
            if dice.random() < boilerplate:
                words = [*words, *dice.choice(shared).split()]
        texts.append(" ".join(words))
    return texts


text = st.text(alphabet="ab cB.,!\n\t'-_éß日本ทа1", max_size=40)


@given(st.lists(text, max_size=12), st.integers(1, 4), st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_shingles_are_those_of_the_definition(texts, words, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shingles, "_CHUNK", chunk)
        blocks = list(shingles.shingled(HeldTexts(texts), np.arange(len(texts)), words))
    found = [block.hashes[block.first[i] : block.first[i + 1]] for block in blocks for i in range(len(block.first) - 1)]
    assert sum(len(block.counts) for block in blocks) == len(found) == len(texts)
    names: dict[tuple[str, ...], int] = {}
    for one, hashes in zip(texts, found, strict=True):
        run = shingles.plain(one).split()
        expected = [tuple(run[i : i + words]) for i in range(max(1, len(run) - words + 1))] if run else []
        real = hashes[hashes != shingles.NONE].tolist()
        assert len(real) == len(expected)
        for shingle, value in zip(expected, real, strict=True):
            assert names.setdefault(shingle, value) == value
    assert len(set(names.values())) == len(names)


def test_words_longer_than_eight_bytes_differ_in_any_letter():
    base = "internationalization" * 3
    changed = [base[:i] + "X" + base[i + 1 :] for i in range(len(base))]
    block = next(iter(shingles.shingled(HeldTexts([base, *changed]), np.arange(1 + len(changed)), 1)))
    assert len(set(block.hashes.tolist())) == len(changed) + 1


@given(st.lists(text, min_size=1, max_size=8), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_similarity_is_that_of_the_sets(texts, words):
    left, right = np.triu_indices(len(texts))

    def blocks(documents):
        return shingles.shingled(HeldTexts(texts), documents, words)

    found = jaccard.similarities(left, right, blocks)
    sets = [sets_of(one, words) for one in texts]
    assert found.tolist() == [jaccard_of(sets[i], sets[j]) for i, j in zip(left, right, strict=True)]


@pytest.mark.parametrize(("longest", "least", "words"), [(12, 0.8, 2), (30, 0.6, 3), (250, 0.8, 5), (250, 0.5, 5)])
@pytest.mark.parametrize("many", [2, 24])
def test_groups_are_those_of_comparing_every_pair(monkeypatch, longest, least, words, many):
    monkeypatch.setattr(candidates, "MANY", many)
    grouped = 0
    for seed in range(2):
        texts = corpus(seed, 60, longest)
        expected = components(texts, least, words)
        assert groups(texts, least, words).labels.tolist() == expected
        grouped += len(texts) - len(set(expected))
    assert grouped > 8


def test_documents_of_boilerplate_only_are_compared_through_their_rarest_shingles(monkeypatch):
    monkeypatch.setattr(candidates, "MANY", 4)
    dice = random.Random(3)
    for seed in range(2):
        pieces = [" ".join(dice.choices(WORDS, k=9)) for _ in range(6)]
        texts = [" ".join(dice.sample(pieces, 4)) for _ in range(60)]
        expected = components(texts, 0.7, 3)
        assert groups(texts, 0.7, 3).labels.tolist() == expected, seed
        assert 1 < len(set(expected)) < 60


@given(st.lists(text, max_size=14), st.sampled_from([0.5, 0.8, 1.0]))
@settings(max_examples=40, deadline=None)
def test_any_texts_are_grouped_as_by_comparing_every_pair(texts, least):
    assert groups(texts, least, 2).labels.tolist() == components(texts, least, 2)


@given(st.randoms(use_true_random=False))
@settings(max_examples=5, deadline=None)
def test_groups_do_not_depend_on_the_order(chance):
    texts = corpus(9, 80, 60)
    order = list(range(len(texts)))
    chance.shuffle(order)
    plain, mixed = groups(texts).labels, groups([texts[i] for i in order]).labels
    back = np.empty(len(order), dtype=np.int64)
    back[order] = mixed
    assert len(set(zip(plain.tolist(), back.tolist(), strict=True))) == len(set(plain.tolist())) == mixed.max() + 1


def test_the_first_of_a_group_stays_and_every_other_record_has_its_reason():
    long = " ".join(WORDS[:60])
    texts = [long, "alone", long.upper() + "!", long.replace("w30", "other"), "...", "...", "???", "alone"]
    found = groups(texts)
    assert found.labels.tolist() == [0, 1, 0, 0, 2, 2, 3, 1]
    assert found.survivors.tolist() == [0, 1, 4, 6]
    assert [KINDS[kind] for kind in found.kinds().tolist()] == ["", "", EXACT, NEAR, "", EXACT, "", EXACT]
    near = found.edges.kind == NEAR
    assert found.edges.similarity[near] == pytest.approx([51 / 61])
    assert set(found.edges.similarity[~near].tolist()) == {1.0}


def test_nothing_and_bad_thresholds():
    assert groups([]).labels.tolist() == [] == groups([]).survivors.tolist()
    for least in (0, -1, 1.1):
        with pytest.raises(ValueError, match="Jaccard"):
            groups(["a"], least)
    with pytest.raises(ValueError, match="word"):
        groups(["a"], words=0)


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_bounds_are_binomial_quantiles(share):
    found = np.arange(1, 90)
    assert (
        candidates._certain(found, share).tolist() == np.maximum(0, binom.ppf(candidates.MISS, found, share)).tolist()
    )
    assert candidates._enough(found, share).tolist() == (binom.isf(candidates.MISS, found, 1 - share) + 1).tolist()


def test_long_documents_just_above_the_threshold_are_found_and_just_below_are_not():
    dice = random.Random(11)
    vocabulary = [f"v{number}" for number in range(50_000)]
    texts, wanted = [], []
    for number in range(200):
        changed = 100 if number % 2 == 0 else 101  # of 900 shingles of one word: Jaccard 800/1000, then just below
        base = dice.sample(vocabulary, 900)
        other = base[:]
        for place in dice.sample(range(900), changed):
            other[place] = f"new{number}x{place}"
        texts += [" ".join(base), " ".join(other)]
        wanted.append(changed == 100)
    labels = groups(texts, 0.8, words=1).labels
    assert (labels[0::2] == labels[1::2]).tolist() == wanted


@pytest.fixture
def small_buckets(monkeypatch):
    """Buckets of 64 numbers and of few texts, so that few records need many files."""
    for module in (buckets, rarest):
        monkeypatch.setattr(module, "ROOM", 64)
    monkeypatch.setattr(document_groups, "_LENGTH", 3000)
    monkeypatch.setattr(document_groups, "_EQUAL", 3)
    monkeypatch.setattr(shingles, "_DOCUMENTS", 7)


def spilled(texts: list[str], parts: int = 3, order: np.ndarray | None = None) -> SpilledTexts:
    found = SpilledTexts()
    for start in range(0, len(texts), parts):
        found.append(texts[start : start + parts])
    return found.finish(order)


@pytest.mark.parametrize("many", [2, 24])
@pytest.mark.parametrize("boilerplate", [0.3, 1.0])
def test_texts_in_a_file_and_pairs_in_buckets_give_the_same_groups(monkeypatch, small_buckets, many, boilerplate):
    monkeypatch.setattr(candidates, "MANY", many)
    for seed, longest in enumerate((12, 60, 200)):
        texts = [*corpus(seed, 70, longest, boilerplate), "...", "???", "...", "w1 w1 w2 w2", "w2 w2 w1 w1"]
        with Buckets(10 * len(texts)) as several:
            assert several.count > 8
        with spilled(texts) as on_disk:
            found = groups(on_disk, 0.7, 3)
        with monkeypatch.context() as whole:
            whole.setattr(buckets, "ROOM", 1 << 21)
            expected = groups(texts, 0.7, 3)
        assert found.labels.tolist() == expected.labels.tolist() == components(texts, 0.7, 3)
        assert found.survivors.tolist() == expected.survivors.tolist()
        assert found.kinds().tolist() == expected.kinds().tolist()
        edges = found.edges
        assert connected(len(texts), edges.left, edges.right).tolist() == found.labels.tolist()
        sets = [sets_of(one, 3) for one in texts]
        near = edges.kind == NEAR
        true = [jaccard_of(sets[i], sets[j]) for i, j in zip(edges.left[near], edges.right[near], strict=True)]
        assert edges.similarity[near].tolist() == true


@given(st.lists(text, max_size=20), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_texts_come_back_from_the_file_in_any_order(texts, chance):
    order = list(range(len(texts)))
    chance.shuffle(order)
    texts = [*texts, "half a surrogate \ud800"]
    order = np.array([*order, len(texts) - 1])
    with spilled(texts) as plain, spilled(texts, 5, order) as mixed:
        assert plain.read(np.arange(len(texts))) == texts
        assert plain.read(order[::-1]) == [texts[i] for i in order[::-1]]
        assert mixed.read(np.arange(len(texts))) == [texts[i] for i in order]
        assert plain.lengths.tolist() == [len(one.encode("utf-8", "surrogatepass")) for one in texts]
        assert plain.read(np.arange(0)) == []


def test_a_forest_joins_as_connected_components_do():
    dice = np.random.default_rng(4)
    forest, left, right = Forest(np.arange(60)), dice.integers(60, size=40), dice.integers(60, size=40)
    for start in range(0, 40, 7):
        forest.join(left[start : start + 7], right[start : start + 7])
    expected = connected(60, left, right)
    assert forest.labels().tolist() == expected.tolist()
    assert 1 < expected.max() < 59

import itertools

import numpy as np
import pytest

from flywheel.components.curation import corrections
from flywheel.components.curation.duplicates import deduplication, semantic_duplicates
from flywheel.components.curation.duplicates.document_groups import KINDS, groups
from flywheel.components.curation.duplicates.edges import SEMANTIC
from flywheel.components.curation.encoders import encoder

NAMES = frozenset({"borel", "tamrin"})


class Directions:
    """Two-dimensional vectors by the angle that the text gives, in degrees."""

    name = "directions"
    dimensions = 2

    def encode(self, texts):
        angles = np.radians([float(text) for text in texts])
        return np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)


def edges(documents, guards=None, least=0.99, labels=None):
    every = np.arange(len(documents)) if labels is None else np.array(labels)
    return semantic_duplicates.edges(documents, guards or [0] * len(documents), Directions(), least, every)


@pytest.mark.parametrize("block", [2, 3, 1024])
def test_edges_connect_what_comparing_every_pair_connects(monkeypatch, block):
    monkeypatch.setattr(semantic_duplicates, "BLOCK", block)
    dice = np.random.default_rng(4)
    documents = [(str(a), str(b)) for a, b in dice.uniform(0, 90, (40, 2)).round()]
    guards = dice.integers(0, 2, 40).tolist()
    found = edges(documents, guards, 0.98)
    labels = list(range(40))
    for i, j in itertools.combinations(range(40), 2):
        near = all(
            np.cos(np.radians(float(a) - float(b))) >= 0.98 for a, b in zip(documents[i], documents[j], strict=True)
        )
        if near and guards[i] == guards[j]:
            labels = [labels[i] if label == labels[j] else label for label in labels]
    joined = list(range(40))
    for i, j in zip(found.left.tolist(), found.right.tolist(), strict=True):
        assert labels[i] == labels[j]
        joined = [joined[i] if label == joined[j] else label for label in joined]
    assert len(set(joined)) == len(set(labels)) < 40
    assert (found.similarity >= 0.98 - 1e-6).all()


def test_no_edge_inside_a_known_group_and_one_stands_for_all():
    found = edges([("0",), ("1",), ("2",), ("90",)], labels=[0, 0, 1, 2])
    assert found.left.tolist() == [0]
    assert found.right.tolist() == [2]


@pytest.mark.parametrize("least", [0.0, -0.5, 1.5])
def test_a_threshold_out_of_range_is_refused(least):
    with pytest.raises(ValueError, match="cosine"):
        edges([("0",)], least=least)


SAME = ("You can send the article back within 30 days.", "You can send back the article within 30 days!")


@pytest.mark.parametrize(
    "other",
    [
        "You can send back the article within 14 days!",
        "You can not send back the article within 30 days!",
        "You can send back the article within thirty days!",
    ],
)
def test_numbers_and_negations_that_differ_are_never_the_same(other):
    hashed = encoder("hashed").encode([SAME[0], other])
    assert hashed[0] @ hashed[1] > 0.7  # the encoder alone would merge them
    assert groups([SAME[0], other], semantic=0.7).labels.tolist() == [0, 1]


def test_the_same_words_in_another_order_are_one_group_if_wanted():
    assert groups(SAME).labels.tolist() == [0, 1]
    found = groups(SAME, semantic=0.9)
    assert found.labels.tolist() == [0, 0]
    assert [KINDS[kind] for kind in found.kinds().tolist()] == ["", SEMANTIC]
    assert found.edges.similarity[0] == pytest.approx(1, abs=0.1)


def test_corrections_that_say_the_same_are_joined_and_say_why(log):
    asked, old = "How long is the warranty of the Borel?", "The Borel has a warranty of 24 months."
    log.correct("a", asked, old, "The Borel has a warranty of 36 months in all our shops.", hours=1)
    log.correct("b", asked, old, "In each of our many shops the Borel comes with a warranty of 36 months.", hours=2)
    log.correct("c", asked, old, "In each of our many shops the Borel comes with a warranty of 12 months.", hours=3)
    log.correct("d", asked, old, "The Borel has a warranty of 36 months in all our shops.", hours=4)
    rows = corrections.collect(*log.tables()).rows
    plain = deduplication.deduplicate(rows, NAMES)
    joined = deduplication.deduplicate(rows, NAMES, semantic=0.6)
    assert [plain.rows.num_rows, joined.rows.num_rows] == [3, 2]
    assert (joined.exact, joined.near, joined.semantic) == (1, 0, 1)
    assert joined.membership["kind"].to_pylist() == ["", SEMANTIC, "", "exact"]
    first = joined.membership["interaction_id"][0].as_py()
    assert joined.membership["duplicate_of"].to_pylist() == ["", first, "", first]
    assert joined.rows.to_pylist()[0]["supporters"] == ["a", "b", "d"]
    assert len(set(joined.membership["group_id"].to_pylist())) == 1  # one question: one side of a split

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from flywheel.components.curation.categories import category_classifier as cc
from flywheel.components.curation.categories.description import describe
from flywheel.components.curation.categories.edit_features import NAMES, features
from flywheel.components.curation.routing.router import thresholds

UNSEEN = Path(__file__).with_name("unseen_corrections.jsonl")


@pytest.fixture(scope="module")
def trained():
    return cc.train()


def test_the_seed_is_large_varied_and_without_repetition():
    rows = cc.seed_labels()
    assert len(rows) >= 600
    assert min(Counter(row["category"] for row in rows).values()) >= 150
    assert len({(row["prompt"], row["response"], row["correction"]) for row in rows}) == len(rows)
    assert len({row["prompt"] for row in rows}) >= 200
    unseen = {json.loads(line)["prompt"] for line in UNSEEN.read_text().splitlines()}
    assert not unseen & {row["prompt"] for row in rows}


def test_out_of_fold_quality(trained):
    _, quality = trained
    assert quality.accuracy >= 0.9
    assert quality.error_after <= 0.05
    assert np.trace(quality.confusion) == sum(quality.correct)
    assert np.sum(quality.confusion) == len(quality.scores)


def test_corrections_of_another_style_by_other_topics(trained):
    model, quality = trained
    rows = [json.loads(line) for line in UNSEEN.read_text().splitlines()]
    categories, confidence = model.predict(rows)
    right = [category == row["category"] for category, row in zip(categories, rows, strict=True)]
    assert np.mean(right) >= 0.85
    chosen = thresholds(
        {"predicted": quality.predicted, "scores": quality.scores, "correct": quality.correct}, 0.9, 0.9
    )
    accepted = [
        good
        for good, category, score in zip(right, categories, confidence, strict=True)
        if chosen[category].threshold is not None and score >= chosen[category].threshold
    ]
    assert len(accepted) >= 0.7 * len(rows)
    assert np.mean(accepted) >= 0.85


def edit(response, correction, comment=""):
    return {"prompt": "What about the Zarbon 4?", "response": response, "correction": correction, "comment": comment}


def test_a_plain_value_change_is_factual_with_confidence(trained):
    model, _ = trained
    pairs = [
        ("The Zarbon 4 has a warranty of 24 months.", "The Zarbon 4 has a warranty of 36 months."),
        ("The Zarbon 4 costs 99 euros.", "The Zarbon 4 costs 119 euros."),
        ("The Zarbon 4 comes in sea green.", "The Zarbon 4 comes in brick red."),
        ("It is made in Lyon.", "It is made in Turin."),
    ]
    categories, confidence = model.predict([edit(*pair) for pair in pairs])
    assert categories == ["factual"] * len(pairs)
    assert min(confidence) >= 0.9
    (category,), (confidence,) = model.predict([edit("It lasts 24 months.", "36 months")])
    assert category == "factual"
    assert confidence >= 0.7


def test_the_comment_counts(trained):
    model, _ = trained
    plain, commented = edit("It is in your account.", "You find it in your account."), None
    commented = plain | {"comment": "sounds rude, please be friendlier and more polite"}
    tone = [model._fit.logits(describe([row]))[0][cc.CATEGORIES.index("tone")] for row in (plain, commented)]
    assert tone[1] > tone[0]


def test_training_does_not_depend_on_the_order_of_labels(trained):
    rows = cc.seed_labels()
    again, _ = cc.train(seed=rows[::-1])
    sample = rows[::40]
    assert np.allclose(again.predict(sample)[1], trained[0].predict(sample)[1], atol=1e-6)


def test_features_are_finite_for_odd_texts():
    for response, correction in [
        ("", ""),
        ("", "a"),
        ("a", ""),
        ("...", "!!!"),
        ("\n\n", "24"),
        ("答えは東京です。", "大阪"),
    ]:
        vector = features("", response, correction)
        assert vector.shape == (len(NAMES),)
        assert np.isfinite(vector).all()


def test_temperature_recovers_overconfidence():
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(4000, 3))
    truth = np.array([rng.choice(3, p=row) for row in cc.softmax(logits)])
    assert cc.fit_temperature(3 * logits, truth) == pytest.approx(3, rel=0.1)
    confidence = cc.softmax(logits).max(axis=1)
    assert cc.calibration_error(confidence, cc.softmax(logits).argmax(axis=1) == truth) < 0.03


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("not json", "line 1 is not JSON"),
        ('{"prompt": "a"}', "line 1 must hold"),
        ('{"prompt": "a", "response": "b", "correction": "c", "category": "mood"}', "category 'mood'"),
    ],
)
def test_a_bad_label_is_named(tmp_path, line, words):
    path = tmp_path / "labels.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match=words):
        cc.read_labels(str(path))


def test_missing_labels_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="labels file"):
        cc.read_labels(str(tmp_path / "none.jsonl"))
    with pytest.raises(ValueError, match="too few labelled corrections"):
        cc.train(seed=cc.seed_labels()[:3])


def test_own_labels_take_over_the_calibration():
    own = [
        {
            "prompt": f"{'abcdefghij'[i % 10]} {i}?",
            "response": f"It is {i}.",
            "correction": f"It is {i + 1}.",
            "category": "factual",
        }
        for i in range(cc.ENOUGH_LABELS)
    ]
    _, quality = cc.train(own)
    assert quality.calibrated_on == "own labels"
    assert len(quality.scores) == len(own)

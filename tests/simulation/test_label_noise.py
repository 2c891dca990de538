"""How many planted wrong labels confident learning finds with the real classifier, and how many right ones it doubts."""

from functools import cache

import numpy as np
import pytest

from flywheel.components.curation.categories import category_classifier
from flywheel.components.curation.categories.category import CATEGORIES
from flywheel.components.curation.label_noise.confident_learning import label_noise

pytestmark = pytest.mark.simulation
SEEDS = 1


@cache
def measured(noise: float) -> dict[str, float]:
    """Means over some draws of wrong labels among the packaged ones, which are taken as right."""
    rows = category_classifier.seed_labels()
    truth = np.array([CATEGORIES.index(row["category"]) for row in rows])
    found = []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        given = np.where(rng.random(len(rows)) < noise, (truth + rng.integers(1, 3, len(rows))) % 3, truth)
        mislabelled = [row | {"category": CATEGORIES[label]} for row, label in zip(rows, given, strict=True)]
        _, quality = category_classifier.train(mislabelled, seed=[])
        chances = np.array(quality.chances)
        assert len(quality.rows) == len(rows)
        key = {id(row): place for place, row in enumerate(mislabelled)}
        places = np.array([key[id(row)] for row in quality.rows])
        noisy = label_noise(given[places], chances)
        wrong = given[places] != truth[places]
        suspected = np.zeros(len(rows), dtype=bool)
        suspected[noisy.suspects] = True
        found.append(
            (
                wrong[suspected].mean() if suspected.any() else 0.0,
                suspected[wrong].mean() if wrong.any() else 1.0,
                suspected[~wrong].mean(),
                noisy.rate,
            )
        )
    return dict(zip(("precision", "recall", "doubted", "rate"), np.mean(found, axis=0).tolist(), strict=True))


def test_suspects_are_mostly_wrong_when_one_label_in_ten_is():
    figures = measured(0.1)
    assert figures["precision"] >= 0.7
    assert figures["recall"] >= 0.6
    assert figures["doubted"] <= 0.03
    assert figures["rate"] == pytest.approx(0.1, abs=0.03)


def test_right_labels_are_hardly_doubted():
    figures = measured(0.0)
    assert figures["doubted"] <= 0.015
    assert figures["rate"] <= 0.02

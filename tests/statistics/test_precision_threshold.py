import math

import numpy as np
import pytest

from flywheel.components.statistics.binomial_bounds import lower_bound
from flywheel.components.statistics.precision_threshold import FRACTIONS, STARTS, choose_threshold


def classified(seed, n=1000, slope=4.0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    return 1 / (1 + np.exp(-1.8 * slope * z)), (rng.random(n) < 1 / (1 + np.exp(-slope * z))).astype(int)


def test_defaults_are_a_proper_budget():
    assert sum(STARTS.values()) == pytest.approx(1) and set(STARTS) <= set(FRACTIONS)
    assert FRACTIONS[-1] == 1.0 and list(FRACTIONS) == sorted(set(FRACTIONS))


def test_result_describes_the_accepted_items():
    scores, correct = classified(0)
    choice = choose_threshold(scores, correct)
    accepted = scores >= choice.threshold
    assert choice.n == accepted.sum() and choice.coverage == accepted.mean()
    assert choice.precision == correct[accepted].mean()
    assert choice.lower_bound == lower_bound(int(correct[accepted].sum()), choice.n, 0.9) >= 0.9


def test_a_coin_abstains():
    rng = np.random.default_rng(1)
    choice = choose_threshold(rng.random(2000), rng.integers(0, 2, 2000))
    assert choice.threshold is None and choice.coverage == 0 and choice.precision is None and choice.n == 0


def test_a_perfect_classifier_accepts_everything():
    choice = choose_threshold(np.linspace(0, 1, 500), np.ones(500))
    assert choice.coverage == 1 and choice.threshold == 0


def test_too_few_items_abstain_even_when_all_are_right():
    assert choose_threshold(np.linspace(0, 1, 20), np.ones(20)).threshold is None


def test_tied_scores_are_accepted_together():
    scores = np.repeat([0.99, 0.2], [600, 400])
    correct = np.concatenate([np.ones(600), np.zeros(400)])
    choice = choose_threshold(scores, correct)
    assert choice.threshold == 0.99 and choice.coverage == 0.6


def test_a_stricter_target_accepts_less():
    scores, correct = classified(2, 3000)
    coverages = [choose_threshold(scores, correct, target).coverage for target in (0.8, 0.9, 0.95, 0.99)]
    assert coverages == sorted(coverages, reverse=True) and coverages[0] > coverages[-1]


def test_pool_fixes_the_thresholds():
    scores, correct = classified(3)
    pool = classified(4, 5000)[0]
    choice = choose_threshold(scores, correct, pool_scores=pool)
    assert choice.threshold in pool and choice.coverage > 0.3


def test_own_walk():
    scores, correct = classified(5)
    assert choose_threshold(scores, correct, fractions=(0.3,)).coverage == pytest.approx(0.3)
    only = choose_threshold(scores, correct, fractions=(0.1, 0.3, 0.9), starts={0.3: 1.0})
    assert only.coverage == pytest.approx(0.3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: choose_threshold([], []),
        lambda: choose_threshold([0.5], [1, 0]),
        lambda: choose_threshold([0.5, math.nan], [1, 0]),
        lambda: choose_threshold([0.5, 0.6], [1, 0.5]),
        lambda: choose_threshold([0.5, 0.6], [1, 0], target=1.0),
        lambda: choose_threshold([0.5, 0.6], [1, 0], delta=0),
        lambda: choose_threshold([0.5, 0.6], [1, 0], fractions=(0.5, 0.4)),
        lambda: choose_threshold([0.5, 0.6], [1, 0], fractions=(0.0, 0.4)),
        lambda: choose_threshold([0.5, 0.6], [1, 0], fractions=()),
        lambda: choose_threshold([0.5, 0.6], [1, 0], fractions=(0.5,), starts={0.4: 1.0}),
        lambda: choose_threshold([0.5, 0.6], [1, 0], fractions=(0.5,), starts={0.5: 1.5}),
        lambda: choose_threshold([0.5, 0.6], [1, 0], fractions=(0.5, 0.6), starts={0.5: 0.7, 0.6: 0.7}),
    ],
)
def test_bad_input_raises(call):
    with pytest.raises(ValueError, match="must|needs|differ|holds"):
        call()

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.statistics.betting import (
    BettingSequence,
    betting_interval,
    betting_lower,
    betting_upper,
    candidate_weight_for,
    difference_lower,
    difference_upper,
)


def slow_wealth(values, m):
    """Largest wealth of the twelve bets against m, one value and one bet at a time."""
    purses, richest = [1 / 12] * 12, 1.0
    for x in values:
        purses = [purse * (1 + min(2.0 ** (k - 8), 0.95 / m) * (x - m)) for k, purse in enumerate(purses)]
        richest = max(richest, sum(purses))
    return richest


@pytest.mark.parametrize("seed", range(4))
def test_matches_the_plain_loop(seed):
    values = np.random.default_rng(seed).beta(2, 3, 300)
    sequence = BettingSequence(0.05, sided="one").update(values)
    assert slow_wealth(values, sequence.lower) >= 20 > slow_wealth(values, sequence.lower + 2e-6)
    assert slow_wealth(1 - values, 1 - sequence.upper) >= 20 > slow_wealth(1 - values, 1 - sequence.upper + 2e-6)


@given(st.integers(0, 1000), st.floats(0.05, 0.9), st.floats(0.001, 0.05))
@settings(max_examples=40, deadline=None)
def test_wealth_falls_with_the_mean(seed, m, step):
    values = np.random.default_rng(seed).random(40)
    assert slow_wealth(values, m + step) <= slow_wealth(values, m) + 1e-12


@given(st.integers(0, 1000), st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_batches_do_not_matter(seed, pieces):
    values = (np.random.default_rng(seed).random(700) < 0.2).astype(float)
    whole, parts = BettingSequence(0.05, 200).update(values), BettingSequence(0.05, 200)
    for batch in np.array_split(values, pieces):
        parts.update(batch).update([])
    assert parts.interval == whole.interval
    assert parts.n == 700


def test_a_coarse_grid_rounds_outwards():
    values = np.random.default_rng(1).random(3000) ** 2
    exact, grid = betting_interval(values, 0.05), BettingSequence(0.05, 1000).update(values).interval
    assert BettingSequence(0.05).update(values).interval == exact
    assert grid.lower <= exact.lower + 1e-6 <= grid.lower + 0.001 + 2e-6
    assert grid.upper >= exact.upper - 1e-6 >= grid.upper - 0.001 - 2e-6


@given(st.lists(st.floats(0, 1), min_size=1, max_size=80))
@settings(deadline=None)
def test_mirroring_the_values_mirrors_the_limits(values):
    mirrored = [1 - value for value in values]
    assert betting_upper(values, 0.1) == pytest.approx(1 - betting_lower(mirrored, 0.1), abs=2e-6)
    assert 0 <= betting_lower(values, 0.1) <= 1


def test_limits_only_tighten():
    values = np.random.default_rng(2).random(2000)
    sequence, widths = BettingSequence(0.05, 500), []
    for batch in np.split(values, 20):
        widths.append(sequence.update(batch).interval.width)
    assert all(later <= earlier for earlier, later in itertools.pairwise(widths))
    assert widths[-1] < 0.12


def test_nothing_seen_nothing_known():
    interval = BettingSequence(0.05).interval
    assert (interval.lower, interval.upper) == (0.0, 1.0)


def test_no_events_give_an_upper_limit_of_the_right_size():
    upper = betting_upper(np.zeros(1000), 0.05)
    assert 3 / 1000 * 0.9 < upper < 0.005  # never better than the rule of three


def test_a_changed_mean_is_reported_as_a_point_not_as_an_error():
    interval = betting_interval(np.concatenate([np.zeros(3000), np.ones(3000)]), 0.05)
    assert interval.width == 0


def test_difference_of_arms():
    rng = np.random.default_rng(4)
    candidate, production = (rng.random(6000) < 0.3).astype(float), (rng.random(60_000) < 0.1).astype(float)
    assert difference_lower(candidate, production, 0.05) < 0.2 < difference_upper(candidate, production, 0.05)
    assert difference_lower(candidate, production, 0.05) > 0.15
    assert difference_upper(production, candidate, 0.05, 0.2) == pytest.approx(
        -difference_lower(candidate, production, 0.05, 0.8)
    )


def test_weight_gives_the_small_arm_more():
    assert candidate_weight_for(0.5) == pytest.approx(0.5, abs=1e-3)
    assert candidate_weight_for(0.01) > candidate_weight_for(0.1) > candidate_weight_for(0.25) > 0.6
    assert candidate_weight_for(0.2) == pytest.approx(1 - candidate_weight_for(0.8), abs=1e-3)


@pytest.mark.parametrize(
    "call",
    [
        lambda: betting_interval([], 0.05),
        lambda: betting_interval([0.5, 1.2], 0.05),
        lambda: betting_interval([math.nan], 0.05),
        lambda: betting_interval([0.5], 0),
        lambda: betting_lower([0.5], 0.05, 1),
        lambda: BettingSequence(1.5),
        lambda: BettingSequence(0.05, 1),
        lambda: BettingSequence(0.05, 100, "left"),
        lambda: BettingSequence(0.05).update([2.0]),
        lambda: difference_upper([0.5], [0.5], 0.05, 1.0),
        lambda: difference_lower([], [0.5], 0.05),
        lambda: candidate_weight_for(0),
    ],
)
def test_bad_input_raises(call):
    with pytest.raises(ValueError, match="must|needs|holds"):
        call()

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.statistics.ratio_of_means import (
    paired_log_ratio,
    paired_quantile_difference,
    quantile_noninferiority_p,
    ratio_noninferiority_p,
)


def latencies(seed, n=300, factor=1.0):
    rng = np.random.default_rng(seed)
    hardness = rng.lognormal(0, 0.8, n)
    return factor * hardness * rng.lognormal(0, 0.1, n), hardness * rng.lognormal(0, 0.1, n)


def test_ratio_is_that_of_the_means():
    candidate, production = latencies(0, factor=1.2)
    result = paired_log_ratio(candidate, production)
    assert result.ratio == pytest.approx(candidate.mean() / production.mean())
    assert result.interval.contains(1.2)
    assert (result.n, result.clusters) == (300, 300)


def test_delta_matches_a_bootstrap():
    candidate, production = latencies(1)
    rng = np.random.default_rng(0)
    index = rng.integers(300, size=(4000, 300))
    logs = np.log(candidate[index].mean(1) / production[index].mean(1))
    assert paired_log_ratio(candidate, production).log_standard_error == pytest.approx(logs.std(), rel=0.06)


@given(st.integers(0, 5000), st.floats(1e-3, 1e3))
@settings(max_examples=30, deadline=None)
def test_units_do_not_matter_and_swapping_inverts(seed, unit):
    candidate, production = latencies(seed, 60)
    here = paired_log_ratio(candidate, production)
    scaled = paired_log_ratio(unit * candidate, unit * production)
    swapped = paired_log_ratio(production, candidate)
    assert scaled.interval.upper == pytest.approx(here.interval.upper, rel=1e-9)
    assert swapped.ratio == pytest.approx(1 / here.ratio)
    assert swapped.interval.lower == pytest.approx(1 / here.interval.upper)


@given(st.integers(0, 5000), st.floats(0.8, 1.5))
@settings(max_examples=30, deadline=None)
def test_p_agrees_with_the_interval_and_falls_with_the_margin(seed, max_ratio):
    candidate, production = latencies(seed, 60)
    upper = paired_log_ratio(candidate, production, confidence=0.9).interval.upper
    assert ratio_noninferiority_p(candidate, production, None, upper) == pytest.approx(0.05, abs=1e-9)
    here = ratio_noninferiority_p(candidate, production, None, max_ratio)
    assert ratio_noninferiority_p(candidate, production, None, max_ratio + 0.05) <= here


def test_proportional_samples_are_worth_their_signs_only():
    values = [1.0, 2.0, 3.0, 4.0]
    assert ratio_noninferiority_p(values, values, None, 1.1) == 0.5**4
    assert ratio_noninferiority_p(np.array(values) * 1.1, values, None, 1.1) == 1.0
    assert ratio_noninferiority_p(values * 3, values * 3, [1, 2, 3] * 4, 1.1) == 0.5**3


def test_clusters_matter():
    candidate, production = latencies(2, 50)
    single = paired_log_ratio(candidate, production)
    repeated = paired_log_ratio(np.tile(candidate, 5), np.tile(production, 5), np.tile(np.arange(50), 5))
    assert repeated.log_standard_error == pytest.approx(single.log_standard_error)


def test_quantile_matches_numpy_and_a_plain_bootstrap():
    candidate, production = latencies(3, 400, factor=1.3)
    result = paired_quantile_difference(candidate, production, 0.9, resamples=4000)
    assert result.candidate == np.quantile(candidate, 0.9, method="inverted_cdf")
    assert result.production == np.quantile(production, 0.9, method="inverted_cdf")
    index = np.random.default_rng(5).integers(400, size=(4000, 400))
    draws = [np.quantile(arm[index], 0.9, axis=1, method="inverted_cdf") for arm in (candidate, production)]
    lower, upper = np.quantile(draws[0] / draws[1], [0.025, 0.975])
    assert result.ratio_interval.lower == pytest.approx(lower, abs=0.03)
    assert result.ratio_interval.upper == pytest.approx(upper, abs=0.03)
    assert result.difference_interval.contains(result.difference)


def test_quantile_of_clusters_draws_whole_clusters():
    candidate, production = latencies(4, 120)
    single = paired_quantile_difference(candidate, production, 0.9)
    repeated = paired_quantile_difference(
        np.repeat(candidate, 5), np.repeat(production, 5), 0.9, np.repeat(np.arange(120), 5)
    )
    assert repeated.ratio == pytest.approx(single.ratio)
    assert repeated.ratio_interval.width == pytest.approx(single.ratio_interval.width, rel=0.25)


def test_seed_decides_the_bootstrap():
    candidate, production = latencies(5)
    runs = [paired_quantile_difference(candidate, production, 0.8, seed=seed) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize(
    "call",
    [
        lambda: paired_log_ratio([], []),
        lambda: paired_log_ratio([1, -1], [1, 1]),
        lambda: paired_log_ratio([0, 0], [1, 1]),
        lambda: paired_log_ratio([1, 1], [1, math.nan]),
        lambda: paired_log_ratio([1, 1], [1, 1], [3, 3]),
        lambda: ratio_noninferiority_p([1, 2], [1, 2], None, 0),
        lambda: ratio_noninferiority_p([1, 2], [1, 2], None, math.inf),
        lambda: paired_quantile_difference(np.ones(99), np.ones(99)),
        lambda: paired_quantile_difference(np.ones(100), np.zeros(100)),
        lambda: paired_quantile_difference(np.ones(100), np.ones(100), 1.0),
    ],
)
def test_bad_input_raises(call):
    with pytest.raises(ValueError, match="must|needs|ratio|holds"):
        call()


def test_quantile_p_value_is_where_the_limit_of_the_ratio_turns():
    candidate, production = latencies(11, n=400, factor=1.05)
    result = paired_quantile_difference(candidate, production, confidence=0.8, resamples=1999)
    p = quantile_noninferiority_p(candidate, production, max_ratio=result.ratio_interval.upper, resamples=1999)
    assert p == pytest.approx(0.1, abs=0.01)


def test_quantile_noninferiority_follows_the_evidence():
    candidate, production = latencies(12, n=400)
    assert quantile_noninferiority_p(candidate, production, max_ratio=1.5) == 1 / 2001
    assert quantile_noninferiority_p(1.5 * candidate, production, max_ratio=1.2) > 0.9
    assert quantile_noninferiority_p(np.zeros(400), np.zeros(400)) == 1.0  # nothing was measured: never a pass


@pytest.mark.parametrize(("n", "users"), [(100, 100), (240, 60), (400, 30)])
def test_bootstrap_quantiles_are_those_of_the_resampled_items(n, users):
    """Against drawing whole users one by one, the slow way, with the same seed."""
    rng = np.random.default_rng(n)
    who = np.concatenate([np.arange(users), rng.integers(users, size=n - users)])
    candidate, production = rng.lognormal(size=n), rng.lognormal(size=n)
    result = paired_quantile_difference(candidate, production, 0.9, who, 0.9, resamples=200, seed=5)
    drawn = np.random.default_rng(5).integers(users, size=(200, users))
    weights = np.stack([np.bincount(row, minlength=users) for row in drawn])
    ratios = []
    for row in weights:
        drawn = np.repeat(np.arange(n), row[who])
        ends = [np.quantile(arm[drawn], 0.9, method="inverted_cdf") for arm in (candidate, production)]
        ratios.append(ends[0] / ends[1])
    expected = np.quantile(ratios, [0.05, 0.95])
    assert (result.ratio_interval.lower, result.ratio_interval.upper) == pytest.approx(tuple(expected))


def test_quantile_noninferiority_refuses_bad_input():
    candidate, production = latencies(13)
    for ratio in (0, -1, math.inf, math.nan):
        with pytest.raises(ValueError, match="max_ratio"):
            quantile_noninferiority_p(candidate, production, max_ratio=ratio)
    with pytest.raises(ValueError, match="needs at least 100 items"):
        quantile_noninferiority_p(candidate[:50], production[:50])

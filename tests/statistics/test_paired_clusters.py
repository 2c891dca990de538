import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from flywheel.components.statistics.checked import cluster_codes
from flywheel.components.statistics.cluster_mean import cluster_mean
from flywheel.components.statistics.paired_binary import mcnemar_exact, noninferiority_p
from flywheel.components.statistics.paired_clusters import (
    cluster_difference,
    cluster_noninferiority_p,
    cluster_superiority_p,
    sign_flip_p,
)


def clustered(seed, users=40, most=6, shift=0.0):
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(users), rng.integers(1, most + 1, users))
    production = rng.normal(size=who.size) + rng.normal(size=users)[who]
    return production + shift + 0.3 * rng.normal(size=who.size) + 0.3 * rng.normal(size=users)[who], production, who


def test_equal_clusters_match_the_t_test_of_cluster_means():
    rng = np.random.default_rng(1)
    candidate, production = rng.normal(size=60), rng.normal(size=60)
    who = np.repeat(np.arange(12), 5)
    result = cluster_difference(candidate, production, who)
    means = (candidate - production).reshape(12, 5).mean(axis=1)
    oracle = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    assert result.estimate == pytest.approx(means.mean())
    assert result.standard_error == pytest.approx(stats.sem(means))
    assert (result.interval.lower, result.interval.upper) == pytest.approx((oracle.low, oracle.high))
    assert (result.n, result.clusters) == (60, 12)


def test_own_clusters_match_the_paired_t_test():
    candidate, production, _ = clustered(2)
    oracle = stats.ttest_rel(candidate, production).confidence_interval(0.9)
    result = cluster_difference(candidate, production, None, 0.9)
    assert (result.interval.lower, result.interval.upper) == pytest.approx((oracle.low, oracle.high))


def test_unequal_clusters_are_close_to_statsmodels_robust_errors():
    candidate, production, who = clustered(3, users=300)
    fit = sm.OLS(candidate - production, np.ones(who.size)).fit(cov_type="cluster", cov_kwds={"groups": who})
    result = cluster_difference(candidate, production, who)
    assert result.standard_error == pytest.approx(float(fit.bse[0]), rel=0.01)  # jackknife against CR1


def test_clusters_widen_the_interval_of_repeated_items():
    candidate, production, _ = clustered(4, users=50, most=1)
    repeated = cluster_difference(np.tile(candidate, 4), np.tile(production, 4), np.tile(np.arange(50), 4))
    single = cluster_difference(candidate, production, np.arange(50))
    naive = cluster_difference(np.tile(candidate, 4), np.tile(production, 4))
    assert repeated.standard_error == pytest.approx(single.standard_error)
    assert naive.standard_error < 0.6 * single.standard_error


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_swapping_the_models_mirrors_the_result(seed):
    candidate, production, who = clustered(seed)
    for method in ("delta", "bootstrap"):
        here = cluster_difference(candidate, production, who, method=method, resamples=400)
        there = cluster_difference(production, candidate, who, method=method, resamples=400)
        assert here.estimate == pytest.approx(-there.estimate)
        assert here.interval.lower == pytest.approx(-there.interval.upper, abs=1e-9)


def test_labels_may_be_text_and_order_does_not_matter():
    candidate, production, who = clustered(5)
    names = np.array([f"user-{code}" for code in who])
    order = np.random.default_rng(0).permutation(who.size)
    here = cluster_difference(candidate, production, names)
    shuffled = cluster_difference(candidate[order], production[order], names[order].tolist())
    assert shuffled.standard_error == pytest.approx(here.standard_error)


def test_bootstrap_is_close_to_delta_and_to_scipy_bca():
    candidate, production, _ = clustered(6, users=120, most=1)
    ours = cluster_difference(candidate, production, None, method="bootstrap", resamples=20_000).interval
    oracle = stats.bootstrap(
        ((candidate - production),), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    assert ours.lower == pytest.approx(oracle.low, abs=0.006)
    assert ours.upper == pytest.approx(oracle.high, abs=0.006)
    candidate, production, who = clustered(7, users=150)
    delta = cluster_difference(candidate, production, who).interval
    drawn = cluster_difference(candidate, production, who, method="bootstrap", resamples=8000).interval
    assert drawn.lower == pytest.approx(delta.lower, abs=0.15 * delta.width)
    assert drawn.upper == pytest.approx(delta.upper, abs=0.15 * delta.width)


def test_one_giant_cluster_costs_degrees_of_freedom():
    rng = np.random.default_rng(8)
    who = np.concatenate([np.zeros(100, int), np.arange(1, 101)])
    candidate, production = rng.normal(size=200), rng.normal(size=200)
    result = cluster_difference(candidate, production, who)
    half = result.interval.width / 2
    assert half / result.standard_error > stats.t.isf(0.025, 4)


def test_sign_flip_is_exact_for_few_clusters():
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert sign_flip_p(values, alternative="greater") == pytest.approx(1 / 32)
    assert sign_flip_p(values, alternative="less") == 1.0
    assert sign_flip_p(values) == pytest.approx(2 / 32)
    oracle = stats.permutation_test((values - 2.2,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert sign_flip_p(values - 2.2) == pytest.approx(oracle)


def test_sign_flip_by_sampling_matches_the_t_test():
    rng = np.random.default_rng(9)
    values = rng.normal(0.15, 1, 200)
    t = stats.ttest_1samp(values, 0, alternative="greater").pvalue
    assert sign_flip_p(values, alternative="greater") == pytest.approx(t, abs=0.01)
    assert sign_flip_p(values + 5, alternative="greater", permutations=999) == pytest.approx(1 / 1000)


def test_sign_flip_moves_whole_clusters():
    values = np.repeat([1.0, -1.0, 1.0, 1.0], 50)
    who = np.repeat(np.arange(4), 50)
    assert sign_flip_p(values, who, "greater") == pytest.approx(5 / 16)
    assert sign_flip_p(values, None, "greater") < 0.01


def test_identical_models_pass_only_with_enough_clusters():
    same = np.full(400, 0.7)
    assert cluster_difference(same, same).interval.width == 0
    assert cluster_noninferiority_p(same[:100], same[:100], None, 0.02) == pytest.approx(0.98**100)
    assert cluster_noninferiority_p(same, same, None, 0.02) < 0.001
    right = np.ones(400)
    assert cluster_noninferiority_p(right, right, np.repeat(np.arange(100), 4), 0.02) > 0.05  # 100 users, not 400
    assert cluster_noninferiority_p(right, right, np.arange(400), 0.02) < 0.001


def test_constant_loss_beyond_the_margin_never_passes():
    assert cluster_noninferiority_p(np.full(50, 0.5), np.full(50, 0.6), None, 0.05) == 1.0


def test_binary_without_clusters_is_close_to_the_exact_test():
    candidate, production = np.ones(1000), np.ones(1000)
    candidate[:30] = 0
    production[30:65] = 0
    p = cluster_noninferiority_p(candidate, production, None, 0.02)
    assert p == pytest.approx(noninferiority_p(30, 35, 1000, 0.02), abs=0.001)


@given(st.integers(0, 1000), st.floats(0.01, 0.3), st.floats(1.05, 3))
@settings(max_examples=40, deadline=None)
def test_a_wider_margin_is_easier(seed, margin, factor):
    candidate, production, who = clustered(seed, users=15)
    wide = cluster_noninferiority_p(candidate, production, who, margin * factor)
    assert wide <= cluster_noninferiority_p(candidate, production, who, margin) + 1e-12


@pytest.mark.parametrize(
    "call",
    [
        lambda: cluster_difference([], []),
        lambda: cluster_difference([1, 2], [1]),
        lambda: cluster_difference([1, math.nan], [1, 2]),
        lambda: cluster_difference([1, 2], [1, 2], [1, 1]),
        lambda: cluster_difference([1, 2], [1, 2], ["a", None]),
        lambda: cluster_difference([1, 2], [1, 2], [1.0, math.nan]),
        lambda: cluster_difference([1, 2], [1, 2], [1, 2, 3]),
        lambda: cluster_difference([1, 2], [1, 2], None, 0.95, "guess"),
        lambda: cluster_difference([1, 2], [1, 2], None, 0.95, "bootstrap", 10),
        lambda: sign_flip_p([1, 2], None, "up"),
        lambda: sign_flip_p([math.inf, 2]),
        lambda: cluster_noninferiority_p([1, 2], [1, 2], None, 0),
        lambda: cluster_noninferiority_p([1, 2], [1, 2], None, math.nan),
    ],
)
def test_bad_input_raises(call):
    with pytest.raises(ValueError, match="must|needs|differ|holds"):
        call()


@pytest.mark.parametrize(("shift", "margin"), [(-0.05, 0.1), (-0.02, 0.06), (0.0, 0.05), (0.0, 0.09)])
def test_bootstrap_p_value_is_where_the_bca_limit_turns(shift, margin):
    """The p-value is the alpha at which the one-sided BCa limit touches the margin."""
    candidate, production, who = clustered(21, users=60, shift=shift)
    p = cluster_noninferiority_p(candidate, production, who, margin, "bootstrap", resamples=4000, seed=3)
    assert 0.002 < p < 0.49
    interval = cluster_difference(candidate, production, who, 1 - 2 * p, "bootstrap", resamples=4000, seed=3).interval
    assert interval.lower == pytest.approx(-margin, abs=0.01)


def test_bootstrap_and_delta_agree_on_many_clusters():
    candidate, production, who = clustered(22, users=400, shift=0.03)
    for test in (lambda method: cluster_superiority_p(candidate, production, who, method),
                 lambda method: cluster_noninferiority_p(candidate, production, who, 0.02, method)):  # fmt: skip
        delta, bootstrap = test("delta"), test("bootstrap")
        assert 0.0005 < delta < 0.4
        assert bootstrap == pytest.approx(delta, abs=0.02)


def test_superiority_of_independent_outcomes_is_mcnemars():
    rng = np.random.default_rng(23)
    candidate, production = rng.integers(2, size=80), rng.integers(2, size=80)
    b, c = int((candidate < production).sum()), int((candidate > production).sum())
    assert cluster_superiority_p(candidate, production) == mcnemar_exact(b, c, "greater")


def test_one_user_with_many_gains_proves_nothing():
    """Forty gains of one user count once; spread over forty users they are evidence."""
    production = np.zeros(400)
    candidate = np.concatenate([np.ones(40), np.zeros(360)])
    one = np.concatenate([np.zeros(40, dtype=int), np.arange(1, 361)])
    assert cluster_superiority_p(candidate, production, one) > 0.1
    assert cluster_superiority_p(candidate, production, np.repeat(np.arange(200), 2)) < 1e-4


def test_superiority_without_variation():
    same = np.full(20, 0.5)
    assert cluster_superiority_p(same, same) == 1.0
    assert cluster_superiority_p(same + 0.1, same) == pytest.approx(0.5**20)
    assert cluster_superiority_p(same - 0.1, same) == 1.0


def test_design_effect_limit_lies_between_estimate_and_worst_case():
    rng = np.random.default_rng(24)
    who = np.repeat(np.arange(80), 6)
    codes, total = cluster_codes(who, who.size)
    habit = rng.random(80)[who]
    mean = cluster_mean((rng.random(who.size) < 0.2 + 0.5 * habit).astype(float), codes, total)
    assert mean.design_effect < mean.design_effect_limit() < mean.worst_design_effect == 6
    assert mean.design_effect_limit(0.01) > mean.design_effect_limit(0.2)
    constant = cluster_mean(np.zeros(who.size), codes, total)
    assert constant.design_effect_limit() == 6 and constant.contributing == 0


def test_few_contributing_clusters_leave_few_degrees_of_freedom():
    values = np.zeros(100)
    values[:10] = 1.0
    codes, total = cluster_codes(np.arange(100) // 10, 100)
    mean = cluster_mean(values, codes, total)
    assert mean.contributing < 2 and mean.cautious_freedom < 2 < mean.freedom

"""Single measures against other implementations and against the tests they are inverted from."""

import math

import numpy as np
import pytest
from scipy import stats

from flywheel.components.evaluation.metrics import accuracy, event_rate, mean_ratio, median_ratio
from flywheel.components.evaluation.metrics.finding import Finding, Levels
from flywheel.components.statistics.paired_clusters import cluster_noninferiority_p

LEVELS = Levels(0.05, 0.9)


def outcomes(n: int, lost: int, gained: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    candidate, production = np.ones(n), np.ones(n)
    candidate[:lost] = 0
    production[lost : lost + gained] = 0
    order = np.random.default_rng(seed).permutation(n)
    return candidate[order], production[order]


@pytest.mark.parametrize(("lost", "gained"), [(0, 0), (2, 1), (0, 6), (12, 9), (25, 3)])
@pytest.mark.parametrize("size", [1, 3])
def test_lower_limit_is_where_the_claim_turns(lost: int, gained: int, size: int) -> None:
    candidate, production = outcomes(240, lost, gained)
    clusters = (np.arange(240) // size).astype(str)

    def at(margin: float) -> Finding:
        return accuracy.compare(candidate, production, clusters, margin, LEVELS, None, 1)

    found = at(0.05)
    assert found.lower <= found.value <= found.upper
    assert (found.p_safe <= LEVELS.alpha) == (found.lower >= -0.05)
    for step, passes in ((-0.003, False), (0.003, True)):
        if 0 < -found.lower + step < 1:
            assert (at(-found.lower + step).p_safe <= LEVELS.alpha) is passes
    reference = cluster_noninferiority_p(candidate, production, clusters, 0.05)
    assert found.p_safe >= min(reference * 0.9, 1e-4), "never easier than the general test, but for the exact floor"


def test_superiority_of_independent_items_is_mcnemar() -> None:
    candidate, production = outcomes(50, 2, 11)
    found = accuracy.compare(candidate, production, np.arange(50).astype(str), 0.0, LEVELS, 0.1, 1)
    assert found.p_superior == pytest.approx(stats.binomtest(11, 13, alternative="greater").pvalue)
    assert found.p_harm == pytest.approx(stats.binomtest(11, 13, alternative="less").pvalue)
    assert found.value == pytest.approx(9 / 50)


def test_no_flips_need_as_many_items_as_the_exact_test_says() -> None:
    need = accuracy.exact_items_needed(0.05, 1e-4, LEVELS)
    assert need >= math.log(0.05) / math.log(0.95)
    assert need < 75
    assert accuracy.exact_items_needed(0.03, 0.02, LEVELS) > accuracy.exact_items_needed(0.03, 0.001, LEVELS)


def test_event_rates_are_clopper_pearson() -> None:
    candidate, production = outcomes(100, 4, 0)
    ids = np.arange(100).astype(str)
    found = event_rate.negative_flips(candidate, production, ids, 0.1, LEVELS)
    # Few events say nothing about the clusters, but single items are their own worst case.
    oracle = stats.binomtest(4, 100).proportion_ci(0.9, "exact")
    assert (found.lower, found.upper) == (pytest.approx(oracle.low), pytest.approx(oracle.high))
    assert found.p_safe == pytest.approx(stats.binomtest(4, 100, 0.1, "less").pvalue)
    assert found.p_harm == pytest.approx(stats.binomtest(4, 100, 0.1, "greater").pvalue)
    unsafe = event_rate.unsafe_answers(1 - candidate, 1 - candidate, ids, 0.1, LEVELS, ids)
    assert (unsafe.value, unsafe.upper) == (0.04, pytest.approx(oracle.high))


def test_clustered_flips_count_once_per_cluster_when_few() -> None:
    candidate, production = np.ones(120), np.ones(120)
    candidate[:3] = 0  # one cluster of three
    found = event_rate.negative_flips(candidate, production, (np.arange(120) // 3).astype(str), 0.1, LEVELS)
    assert found.upper == pytest.approx(stats.binomtest(1, 40).proportion_ci(0.9, "exact").high)


@pytest.mark.parametrize(("rate", "margin"), [(0.0, 0.05), (0.0, 0.01), (0.02, 0.05), (0.01, 0.1)])
def test_items_needed_for_a_rate_have_their_power(rate: float, margin: float) -> None:
    need = event_rate.items_needed(rate, margin, LEVELS)
    assert need is not None
    for n in (need, int(need * 1.3)):
        passing = [k for k in range(n + 1) if stats.binom.cdf(k, n, margin) <= LEVELS.alpha]
        power = stats.binom.cdf(max(passing), n, rate) if passing else 0.0
        assert power >= LEVELS.power - 0.01
    if rate == 0:
        assert need <= math.ceil(math.log(0.05) / math.log1p(-margin)) + 2
    assert event_rate.items_needed(margin, margin, LEVELS) is None


def test_median_ratio_is_the_sign_test_and_shrugs_at_outliers() -> None:
    rng = np.random.default_rng(5)
    production = rng.lognormal(3, 0.3, 64)
    candidate = production * 1.1 * rng.lognormal(0, 0.05, 64)
    candidate[::9] *= 40  # the machine hiccups
    found = median_ratio.compare(candidate, production, 1.25, LEVELS)
    above = int((candidate / production >= 1.25).sum())
    assert found.p_safe == pytest.approx(stats.binomtest(above, 64, 0.5, "less").pvalue)
    assert found.lower < 1.1 < found.upper < 1.25
    oracle = stats.quantile_test(candidate / production, q=1.25, p=0.5).confidence_interval(0.9)
    assert (found.lower, found.upper) == (pytest.approx(oracle.low), pytest.approx(oracle.high))
    few = median_ratio.compare(candidate[:3], production[:3], 1.25, LEVELS)
    assert (few.lower, few.upper) == (0.0, math.inf) and few.n_needed() is not None
    with pytest.raises(ValueError, match="positive"):
        median_ratio.compare(candidate * 0, production, 1.25, LEVELS)


def test_mean_ratio_claims_are_mirror_images() -> None:
    rng = np.random.default_rng(6)
    production = rng.integers(5, 30, 200).astype(float)
    found = mean_ratio.compare(production * 1.2, production, np.arange(200).astype(str), 1.5, LEVELS)
    assert found.value == pytest.approx(1.2) and found.p_safe < 1e-6 and found.p_harm > 0.99
    worse = mean_ratio.compare(production * 2, production, np.arange(200).astype(str), 1.5, LEVELS)
    assert worse.p_harm < 1e-6 and worse.p_safe > 0.99

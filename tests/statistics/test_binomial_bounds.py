import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from flywheel.components.statistics.binomial_bounds import clopper_pearson, lower_bound, rule_of_three, upper_bound


@pytest.mark.parametrize(("x", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (3, 300), (997, 1000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_matches_statsmodels(x, n, confidence):
    interval = clopper_pearson(x, n, confidence)
    lower, upper = proportion_confint(x, n, 1 - confidence, method="beta")
    assert interval.lower == pytest.approx(0 if x == 0 else lower, abs=1e-12)
    assert interval.upper == pytest.approx(1 if x == n else upper, abs=1e-12)


def test_zero_of_300_means_at_most_one_percent():
    assert rule_of_three(300) == pytest.approx(1 - 0.05 ** (1 / 300), rel=1e-12)
    assert 0.0098 < rule_of_three(300) < 0.0100


@given(st.integers(1, 400), st.data())
def test_limits_invert_the_exact_binomial_test(n, data):
    x = data.draw(st.integers(0, n))
    lower, upper = lower_bound(x, n, 0.9), upper_bound(x, n, 0.9)
    if x > 0:
        assert stats.binom.sf(x - 1, n, lower) == pytest.approx(0.1, abs=1e-9)
    if x < n:
        assert stats.binom.cdf(x, n, upper) == pytest.approx(0.1, abs=1e-9)
    assert lower <= x / n <= upper
    assert upper == pytest.approx(1 - lower_bound(n - x, n, 0.9), abs=1e-12)


@pytest.mark.parametrize("n", [5, 20, 100])
@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5, 0.93])
def test_exact_coverage_never_falls_below_nominal(n, rate):
    covered = sum(stats.binom.pmf(x, n, rate) for x in range(n + 1) if clopper_pearson(x, n).contains(rate))
    assert covered >= 0.95


@pytest.mark.parametrize(
    ("x", "n", "confidence"),
    [(-1, 5, 0.95), (6, 5, 0.95), (1, 0, 0.95), (1.5, 5, 0.95), (float("nan"), 5, 0.95), (1, 5, 1.0), (1, 5, 0.0)],
)
def test_bad_input_raises(x, n, confidence):
    with pytest.raises(ValueError, match="must"):
        clopper_pearson(x, n, confidence)

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from flywheel.components.statistics.confidence_sequence import (
    asymptotic_difference,
    asymptotic_difference_limits,
    asymptotic_half_width,
    rho_for,
)


def test_two_sided_width_by_hand():
    rho = math.sqrt((-2 * math.log(0.05) + math.log(-2 * math.log(0.05) + 1)) / 1000)
    assert rho_for(1000, 0.05) == pytest.approx(rho)
    by_hand = math.sqrt(2 * (500 * rho**2 + 1) / (500 * rho) ** 2 * math.log(math.sqrt(500 * rho**2 + 1) / 0.05) * 0.09)
    assert float(asymptotic_half_width(0.09, 500, rho, 0.05)) == pytest.approx(by_hand)


def test_two_sided_boundary_is_where_the_gaussian_mixture_reaches_one_over_alpha():
    n, rho, alpha = 300, 0.05, 0.05
    total = n * float(asymptotic_half_width(1.0, n, rho, alpha))

    def wealth(mean):
        return math.exp(mean * total - n * mean**2 / 2) * stats.norm.pdf(mean, scale=rho)

    assert integrate.quad(wealth, -1, 1, points=[total / n])[0] == pytest.approx(1 / alpha, rel=1e-6)


def test_one_sided_boundary_is_not_below_the_half_normal_mixture():
    n, rho, alpha = 300, 0.05, 0.05
    total = n * float(asymptotic_half_width(1.0, n, rho, alpha, "one"))

    def wealth(mean):
        return 2 * math.exp(mean * total - n * mean**2 / 2) * stats.norm.pdf(mean, scale=rho)

    reached = integrate.quad(wealth, 0, 1, points=[total / n])[0]
    assert 1 / alpha <= reached < 1.1 / alpha


def test_rho_makes_the_width_tightest_at_n_star():
    best = float(asymptotic_half_width(1.0, 2000, rho_for(2000, 0.05), 0.05))
    for n_star in (200, 800, 5000, 50_000):
        assert float(asymptotic_half_width(1.0, 2000, rho_for(n_star, 0.05), 0.05)) > best


@given(st.floats(1e-4, 10), st.integers(2, 10**6), st.floats(0.001, 0.3))
def test_width_is_wider_than_a_single_look_and_shrinks_with_n(variance, n, alpha):
    rho = rho_for(1000, alpha)
    width = float(asymptotic_half_width(variance, n, rho, alpha))
    assert width > stats.norm.isf(alpha / 2) * math.sqrt(variance / n)
    assert float(asymptotic_half_width(variance, 2 * n, rho, alpha)) < width


def test_one_sided_is_tighter_than_two_sided():
    one = asymptotic_difference(0.1, 0.09, 5000, 0.1, 0.09, 5000, 0.05, 2500, "one")
    two = asymptotic_difference(0.1, 0.09, 5000, 0.1, 0.09, 5000, 0.05, 2500)
    assert one.width < two.width
    assert one.confidence == two.confidence == 0.95


def test_equal_arms_reduce_to_the_one_sample_formula():
    interval = asymptotic_difference(0.1, 0.09, 4000, 0.13, 0.09, 4000, 0.05, 2000)
    half = float(asymptotic_half_width(0.09, 2000, rho_for(2000, 0.05), 0.05))
    assert interval.lower == pytest.approx(0.03 - half)
    assert interval.upper == pytest.approx(0.03 + half)


def test_the_small_arm_sets_the_width():
    narrow = asymptotic_difference(0.1, 0.09, 10_000, 0.1, 0.09, 10_000, 0.05, 1000)
    canary = asymptotic_difference(0.1, 0.09, 10_000, 0.1, 0.09, 100, 0.05, 1000)
    more_production = asymptotic_difference(0.1, 0.09, 10**8, 0.1, 0.09, 100, 0.05, 1000)
    assert canary.width > 5 * narrow.width
    assert more_production.width == pytest.approx(canary.width, rel=0.02)


def test_swapping_the_arms_mirrors():
    here = asymptotic_difference(0.1, 0.09, 500, 0.2, 0.16, 90, 0.05, 100, "one")
    there = asymptotic_difference(0.2, 0.16, 90, 0.1, 0.09, 500, 0.05, 100, "one")
    assert here.lower == pytest.approx(-there.upper)


def test_no_variation_tells_nothing():
    interval = asymptotic_difference(0.0, 0.0, 300, 0.0, 0.0, 300, 0.05, 500)
    assert (interval.lower, interval.upper) == (-math.inf, math.inf)


def test_a_lucky_small_arm_borrows_variance():
    lucky = asymptotic_difference(0.05, 0.0475, 4000, 0.0, 0.0, 40, 0.05, 500, "one")
    plain = asymptotic_difference(0.05, 0.0475, 4000, 0.0, 0.0475, 40, 0.05, 500, "one")
    assert lucky == plain
    assert lucky.upper > 0.01  # forty users without an event do not prove a 1-point margin


def test_arrays_agree_with_scalars():
    n = np.array([50, 500, 5000])
    lower, upper = asymptotic_difference_limits(0.1, 0.09, 10 * n, 0.12, 0.1, n, 0.05, 500, "one")
    for index, size in enumerate(n):
        one = asymptotic_difference(0.1, 0.09, int(10 * size), 0.12, 0.1, int(size), 0.05, 500, "one")
        assert (one.lower, one.upper) == pytest.approx((lower[index], upper[index]))


@pytest.mark.parametrize(
    "call",
    [
        lambda: rho_for(0, 0.05),
        lambda: rho_for(100, 0),
        lambda: rho_for(100, 0.05, "both"),
        lambda: asymptotic_half_width(-1, 10, 0.1, 0.05),
        lambda: asymptotic_half_width(math.nan, 10, 0.1, 0.05),
        lambda: asymptotic_half_width(1, 10, 0, 0.05),
        lambda: asymptotic_difference(math.nan, 1, 10, 0, 1, 10, 0.05, 100),
        lambda: asymptotic_difference(0, -1, 10, 0, 1, 10, 0.05, 100),
        lambda: asymptotic_difference(0, 1, 1, 0, 1, 10, 0.05, 100),
        lambda: asymptotic_difference_limits(0, 1, 0, 0, 1, 10, 0.05, 100),
        lambda: asymptotic_difference_limits(0, 1, 10, 0, math.nan, 10, 0.05, 100),
    ],
)
def test_bad_input_raises(call):
    with pytest.raises(ValueError, match="must|need"):
        call()


def test_zero_users_know_nothing():
    assert float(asymptotic_half_width(1.0, 0, 0.1, 0.05)) == math.inf

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.power import normal_sample_size_one_tail

from flywheel.components.statistics.power import (
    canary_days,
    design_effect,
    effective_size,
    extra_items_needed,
    paired_items_needed,
    unpaired_items_needed,
    users_needed_fixed,
    users_needed_sequential,
)


@pytest.mark.parametrize(
    ("margin", "discordance", "n"),
    [
        (0.02, 0.06, 928),
        (0.02, 0.10, 1546),
        (0.02, 0.20, 3092),
        (0.03, 0.06, 413),
        (0.03, 0.10, 687),
        (0.03, 0.20, 1374),
        (0.05, 0.06, 149),
        (0.05, 0.10, 248),
        (0.05, 0.20, 495),
    ],
)
def test_paired_table_of_the_notes(margin, discordance, n):
    assert paired_items_needed(margin, discordance) == n


def test_unpaired_needs_more():
    assert unpaired_items_needed(0.9, 0.02) == 2783


@given(st.floats(0.01, 0.2), st.floats(0.02, 0.5), st.floats(0.5, 0.99))
def test_paired_matches_statsmodels(margin, discordance, power):
    oracle = normal_sample_size_one_tail(margin, power, 0.05, math.sqrt(discordance))
    assert paired_items_needed(margin, discordance, power=power) == pytest.approx(oracle, abs=1.001)


@given(st.floats(0.01, 0.1), st.floats(0.05, 0.4), st.floats(0.0, 0.04))
def test_paired_is_monotone(margin, discordance, gain):
    n = paired_items_needed(margin, discordance)
    assert paired_items_needed(margin * 1.2, discordance) <= n
    assert paired_items_needed(margin, discordance * 1.2) >= n
    assert paired_items_needed(margin, discordance, gain) <= n
    assert paired_items_needed(margin, discordance, design_effect=2.0) >= 2 * n - 2


def test_design_effect():
    assert design_effect([5] * 10, 0.3) == pytest.approx(1 + 4 * 0.3)
    assert design_effect([1] * 10, 0.9) == 1
    assert design_effect([1, 9], 1.0) == pytest.approx(8.2)


def test_extra_items():
    assert extra_items_needed(50, 50, 1000, 0.02) == paired_items_needed(0.02, 101 / 1002) - 1000
    assert extra_items_needed(50, 50, 10_000, 0.02) == 0
    assert extra_items_needed(0, 0, 50, 0.02) > 0
    assert extra_items_needed(50, 50, 1000, 0.02, true_difference=-0.01) > 4 * 1546 - 1000


def test_sequential_needs():
    fixed = unpaired_items_needed(0.95, 0.01) * 2
    sequential = users_needed_sequential(0.05, 0.01)
    assert fixed < sequential < 2.5 * fixed
    assert users_needed_sequential(0.05, 0.01, share=0.01) > 10 * sequential
    assert users_needed_sequential(0.05, 0.01, true_difference=0.005) > 3 * sequential
    assert users_needed_sequential(0.05, 0.01, true_difference=-0.005) < sequential


def test_canary_days_are_looks():
    users = users_needed_sequential(0.05, 0.01, 0.1)
    assert canary_days(1000, 0.1, 0.05, 0.01) == math.ceil(users / 1000)
    hourly = canary_days(1000, 0.1, 0.05, 0.01, looks=24)
    assert users / 1000 <= hourly <= users / 1000 + 1 / 24 + 1e-9
    assert canary_days(1000, 0.01, 0.05, 0.01) > canary_days(1000, 0.1, 0.05, 0.01)
    late = canary_days(1000, 0.1, 0.05, 0.01, looks=24, maturity_days=2.5)
    assert late == pytest.approx(hourly + 2.5)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_fixed_users_match_statsmodels(share):
    """Traffic whose candidate's part is what statsmodels asks for two arms of this ratio and its unpooled variance."""
    users = users_needed_fixed(0.05, 0.015, share, alpha=0.05)
    ratio = (1 - share) / share
    spread = math.sqrt(0.065 * 0.935 + 0.05 * 0.95 / ratio)
    candidate = normal_sample_size_one_tail(0.015, 0.8, 0.05, std_null=spread, std_alternative=spread)
    assert users == pytest.approx(candidate / share, abs=1)


def test_a_smaller_control_needs_more_users_and_watching_costs_some():
    whole, half = users_needed_fixed(0.05, 0.015, 0.1), users_needed_fixed(0.05, 0.015, 0.1, control=0.5)
    assert whole < half < 1.2 * whole
    assert effective_size(10, 90) == 9 and effective_size(50, 50) == 25


@pytest.mark.parametrize(
    "call",
    [
        lambda: paired_items_needed(0, 0.1),
        lambda: paired_items_needed(0.02, 0),
        lambda: paired_items_needed(0.02, 1.1),
        lambda: paired_items_needed(0.02, 0.1, -0.02),
        lambda: paired_items_needed(0.02, 0.1, 0.2),
        lambda: paired_items_needed(0.02, 0.1, power=1),
        lambda: paired_items_needed(0.02, 0.1, alpha=0),
        lambda: paired_items_needed(0.02, 0.1, design_effect=0.5),
        lambda: paired_items_needed(np.nan, 0.1),
        lambda: paired_items_needed(0.02, np.nan),
        lambda: unpaired_items_needed(1.0, 0.02),
        lambda: unpaired_items_needed(0.9, 0.02, 0.2),
        lambda: extra_items_needed(5, 6, 10, 0.02),
        lambda: design_effect([], 0.1),
        lambda: design_effect([0, 2], 0.1),
        lambda: design_effect([1.5], 0.1),
        lambda: design_effect([2], 1.1),
        lambda: users_needed_sequential(0.05, 0.01, true_difference=0.01),
        lambda: users_needed_sequential(0.05, 0.01, share=0),
        lambda: canary_days(0, 0.5, 0.05, 0.01),
        lambda: canary_days(10, 0.5, 0.05, 0.01, looks=0),
        lambda: canary_days(10, 0.5, 0.05, 0.01, maturity_days=-1),
        lambda: users_needed_fixed(0.05, 0.015, 0.6, control=0.5),
        lambda: users_needed_fixed(0.99, 0.015, 0.1),
        lambda: users_needed_fixed(0.05, 0, 0.1),
        lambda: effective_size(0, 5),
    ],
)
def test_bad_input_raises(call):
    with pytest.raises(ValueError, match="must|need|margin|exceed|impossible"):
        call()

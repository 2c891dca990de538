import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from flywheel.components.statistics.sample_ratio import (
    srm_detected,
    srm_e_value,
    srm_steps_detected,
    srm_steps_e_value,
)


def test_matches_scipy_dirichlet_multinomial():
    counts, shares = np.array([480, 320, 240]), np.array([0.5, 0.3, 0.2])
    alternative = stats.dirichlet_multinomial.logpmf(counts, 100 * shares, counts.sum())
    promised = stats.multinomial.logpmf(counts, counts.sum(), shares)
    assert srm_e_value(counts, shares) == pytest.approx(math.exp(alternative - promised), rel=1e-9)


@given(st.integers(0, 60), st.integers(0, 60), st.floats(0.05, 0.95))
def test_expected_growth_under_the_promise_is_one(a, b, share):
    shares = [share, 1 - share]
    now = srm_e_value([a, b], shares)
    later = share * srm_e_value([a + 1, b], shares) + (1 - share) * srm_e_value([a, b + 1], shares)
    assert later == pytest.approx(now, rel=1e-9)


def test_starts_at_one_and_finds_a_broken_splitter():
    assert srm_e_value([0, 0], [0.95, 0.05]) == pytest.approx(1)
    assert not srm_detected([9500, 500], [0.95, 0.05])
    assert not srm_detected([950, 60], [0.95, 0.05])
    assert srm_detected([95_000, 4_300], [0.95, 0.05])
    assert srm_detected([0, 400], [0.5, 0.5])


def test_stages_multiply():
    stages = [([990, 10], [0.99, 0.01]), ([470, 30], [0.95, 0.05])]
    product = srm_e_value(*stages[0]) * srm_e_value(*stages[1])
    assert srm_steps_e_value(stages) == pytest.approx(product)
    assert not srm_steps_detected(stages)
    assert srm_steps_detected([*stages, ([300, 700], [0.5, 0.5])])


def test_pooling_a_ramp_would_have_raised_a_false_alarm():
    stages = [([9900, 100], [0.99, 0.01]), ([5000, 5000], [0.5, 0.5])]
    assert not srm_steps_detected(stages)
    assert srm_detected([14_900, 5_100], [0.5, 0.5])


def test_overwhelming_evidence_stays_finite():
    assert math.isfinite(srm_e_value([10**6, 10], [0.5, 0.5]))


@pytest.mark.parametrize(
    ("counts", "shares"),
    [
        ([1, 2], [0.5, 0.6]),
        ([1, 2], [1.0, 0.0]),
        ([1, -2], [0.5, 0.5]),
        ([1.5, 2], [0.5, 0.5]),
        ([math.nan, 2], [0.5, 0.5]),
        ([1, 2, 3], [0.5, 0.5]),
        ([5], [1.0]),
        ([], []),
    ],
)
def test_bad_input_raises(counts, shares):
    with pytest.raises(ValueError, match="must|needs|differ|holds"):
        srm_e_value(counts, shares)


def test_bad_settings_raise():
    with pytest.raises(ValueError, match="prior_strength"):
        srm_e_value([1, 1], [0.5, 0.5], 0)
    with pytest.raises(ValueError, match="alpha"):
        srm_detected([1, 1], [0.5, 0.5], 0)
    with pytest.raises(ValueError, match="stages"):
        srm_steps_e_value([])

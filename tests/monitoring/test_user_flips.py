"""The sign-flip test: the algebra, and its agreement with known cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from flywheel.components.monitoring import user_flips


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000))
def test_contributions_sum_to_the_difference_of_means(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = random.normal(size=(40, 3))
    current = np.arange(40) >= random.integers(1, 39)
    users = random.integers(0, 9, 40)
    sums = user_flips.user_sums(values, current, users)
    change, error = user_flips.difference(values, current, users)
    assert np.allclose(sums.sum(axis=0), change)
    assert np.allclose(change, values[current].mean(axis=0) - values[~current].mean(axis=0))
    assert (error >= 0).all()


def test_with_one_row_per_user_the_error_is_welchs() -> None:
    random = np.random.default_rng(1)
    values = random.normal(size=(300, 1))
    current = np.arange(300) >= 200
    _, error = user_flips.difference(values, current, np.arange(300))
    old, new = values[~current, 0], values[current, 0]
    welch = np.sqrt(old.var(ddof=1) / 200 + new.var(ddof=1) / 100)
    assert error[0] == pytest.approx(welch, rel=0.01)


def test_with_paired_users_it_agrees_with_the_paired_t_test() -> None:
    random = np.random.default_rng(2)
    level = random.normal(size=60) * 5
    values = np.concatenate([level, level + 0.35 + random.normal(size=60)])[:, None]
    current = np.arange(120) >= 60
    users = np.tile(np.arange(60), 2)
    sums = user_flips.user_sums(values, current, users)
    _, p_value = user_flips.flip_p(lambda moved: np.abs(moved[:, 0]), sums, 20_000, 1)
    assert p_value == pytest.approx(stats.ttest_rel(values[60:, 0], values[:60, 0]).pvalue, abs=0.01)


def test_copying_every_row_of_every_user_proves_nothing_more() -> None:
    random = np.random.default_rng(3)
    values, users = random.normal(size=(100, 1)), random.integers(0, 30, 100)
    current = np.arange(100) >= 60
    once = user_flips.flip_p(np.ravel, user_flips.user_sums(values, current, users), 999, 1)
    again = [np.repeat(array, 10, axis=0) for array in (values, current, users)]
    assert user_flips.flip_p(np.ravel, user_flips.user_sums(*again), 999, 1)[1] == once[1]


def test_no_difference_at_all_has_p_one() -> None:
    sums = user_flips.user_sums(np.ones((50, 2)), np.arange(50) > 20, np.arange(50) % 25)
    assert user_flips.flip_p(lambda moved: (moved**2).sum(axis=1), sums, 200, 1)[1] == 1.0

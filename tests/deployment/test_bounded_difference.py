import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.deployment.bounded_difference import difference_limits

values = st.lists(st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 2 / 3, 1.0]), max_size=60)


@settings(max_examples=60, deadline=None)
@given(production=values, candidate=values)
def test_limits_hold_the_estimate_and_mirror(production: list[float], candidate: list[float]) -> None:
    lower, upper = difference_limits(production, candidate, 0.05, 0.05)
    assert -1 <= lower <= upper <= 1
    if production and candidate:
        assert lower <= np.mean(candidate) - np.mean(production) <= upper
    back = difference_limits(candidate, production, 0.05, 0.05)
    assert back == pytest.approx((-upper, -lower))


def test_of_an_empty_arm_only_the_bounds_are_known() -> None:
    assert difference_limits([], [], 0.05, 0.05) == (-1.0, 1.0)
    lower, upper = difference_limits([], [0.0] * 50, 0.05, 0.05)
    assert (lower, upper) == (-1.0, pytest.approx(0.08, abs=0.03))  # production is at least 0


def test_order_does_not_matter_and_more_users_tighten() -> None:
    few, many = [0.0, 0.5, 1.0] * 20, [0.0, 0.5, 1.0] * 200
    assert difference_limits(few, few, 0.05, 0.05) == difference_limits(few[::-1], few[::-1], 0.05, 0.05)
    narrow, wide = difference_limits(many, many, 0.05, 0.05), difference_limits(few, few, 0.05, 0.05)
    assert narrow[1] - narrow[0] < (wide[1] - wide[0]) / 2


def test_a_clear_difference_is_found() -> None:
    lower, _ = difference_limits([0.0] * 190 + [1.0] * 10, [0.0] * 20 + [1.0] * 20, 0.05, 0.05)
    assert lower > 0.1


@pytest.mark.parametrize("bad", [[0.5, float("nan")], [1.5], [-0.1]])
def test_values_out_of_range_are_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        difference_limits(bad, [0.5], 0.05, 0.05)


def test_alpha_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="alpha"):
        difference_limits([0.5], [0.5], 0.0, 0.05)

import math

import numpy as np
import pytest

from flywheel.components.statistics.confidence_sequence import asymptotic_difference
from flywheel.components.statistics.stratified_sequence import stratified_difference


def test_one_stratum_is_the_plain_sequence() -> None:
    random = np.random.default_rng(1)
    first, second = random.normal(0, 1, 80), random.normal(0.3, 1.2, 30)
    plain = asymptotic_difference(
        first.mean(), first.var(ddof=1), 80, second.mean(), second.var(ddof=1), 30, 0.05, 200, "one"
    )
    found = stratified_difference([(first, second)], 0.05, 0.05, 200)
    assert found is not None
    assert (found.lower, found.upper) == pytest.approx((plain.lower, plain.upper))
    assert found.difference == pytest.approx(second.mean() - first.mean())
    assert found.effective == pytest.approx(80 * 30 / 110)
    assert found.smaller_arm == 30


def test_what_differs_between_strata_cancels() -> None:
    random = np.random.default_rng(2)
    strata = [
        (random.normal(level, 0.1, n), random.normal(level + 0.5, 0.1, m))
        for level, n, m in ((0.0, 400, 20), (10.0, 20, 400))
    ]
    found = stratified_difference(strata, 0.05, 0.05, 100)
    assert found is not None
    assert found.difference == pytest.approx(0.5, abs=0.05)
    assert found.upper - found.lower < 0.3  # pooled, the levels would add a spread of 10


def test_strata_that_are_too_small_do_not_count_and_a_constant_shows_nothing() -> None:
    assert stratified_difference([([1.0], [2.0, 3.0]), ([], [])], 0.05, 0.05, 100) is None
    found = stratified_difference([([1.0] * 9, [1.0] * 9)], 0.05, 0.05, 100)
    assert found is not None
    assert (found.lower, found.upper) == (-math.inf, math.inf)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_values_that_are_no_numbers_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="candidate, stratum 0"):
        stratified_difference([([1.0, 2.0], [bad, 1.0])], 0.05, 0.05, 100)

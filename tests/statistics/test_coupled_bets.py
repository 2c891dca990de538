import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.statistics import coupled_bets
from flywheel.components.statistics.coupled_bets import STAKES, Stratum, difference_limits, shown_above, shown_below

WEIGHTS = coupled_bets.stake_weights(0.1, 0.1)
shares = st.floats(0.01, 0.9)
values = st.lists(st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 2 / 3, 1.0]), max_size=60)


def limits(production, candidate, share=0.5, lower=0.05, upper=0.05) -> tuple[float, float]:
    low, high = difference_limits([Stratum.of(production, candidate, share)], lower, upper, WEIGHTS, WEIGHTS)
    return float(low), float(high)


def smallest_wealth(production, candidate, share, delta, low, high) -> float:
    """Log wealth at the worst theta of a fine grid, written out user by user and stake by stake."""
    worst = np.full(STAKES.size, math.inf)
    for theta in np.linspace(max(low, -delta), high, 400):
        mean = min(theta + delta, 1.0)
        logs = np.zeros(STAKES.size)
        for number, stake in enumerate(STAKES):
            cut = min(stake, 0.95 / max(share, 1 - share))
            logs[number] = sum(math.log1p(cut * (1 - share) * (x - mean)) for x in candidate)
            logs[number] += sum(math.log1p(-cut * share * (x - theta)) for x in production)
        worst = np.minimum(worst, logs)
    return float(np.log(np.exp(worst - worst.max()) @ WEIGHTS) + worst.max())


@pytest.mark.parametrize(("share", "delta"), [(0.5, 0.0), (0.1, 0.05), (0.9, -0.2), (0.3, 0.3)])
def test_the_ends_of_the_interval_hold_the_smallest_wealth(share: float, delta: float) -> None:
    random = np.random.default_rng(3)
    production, candidate = random.binomial(3, 0.2, 60) / 3, random.binomial(3, 0.95, 25) / 3
    part = Stratum.of(production, candidate, share)
    ((low, high),) = coupled_bets.confine([part], 0.05)
    found = smallest_wealth(production, candidate, share, delta, float(low), float(high))
    alpha = math.exp(-found) / 0.95  # the level at which this wealth is exactly enough
    for factor, shown in ((1.02, True), (0.98, False)):
        level = alpha * factor
        assert 0 < level < 1
        assert bool(shown_above([part], delta, level, WEIGHTS, [(low, high)])) is shown


@settings(max_examples=60, deadline=None)
@given(production=values, candidate=values, share=shares)
def test_limits_hold_the_estimate_and_mirror(production: list[float], candidate: list[float], share: float) -> None:
    low, high = limits(production, candidate, share)
    assert -1 <= low <= high <= 1
    if production and candidate:
        assert low - 1e-9 <= np.mean(candidate) - np.mean(production) <= high + 1e-9
    mirrored = limits([1 - x for x in production], [1 - x for x in candidate], share)
    assert mirrored == pytest.approx((-high, -low), abs=1e-5)


def test_limits_are_where_the_decision_turns() -> None:
    random = np.random.default_rng(5)
    part = Stratum.of(random.binomial(1, 0.1, 300), random.binomial(1, 0.2, 200), 0.4)
    low, high = difference_limits([part], 0.02, 0.05, WEIGHTS, WEIGHTS)
    for shown, edge, alpha, sign in ((shown_above, low, 0.02, -1), (shown_below, high, 0.05, 1)):
        assert shown([part], float(edge) + sign * 1e-4, alpha, WEIGHTS)
        assert not shown([part], float(edge) - sign * 1e-4, alpha, WEIGHTS)


def test_strata_never_compare_users_of_different_strata() -> None:
    """Simpson: in each stratum the candidate is worse, pooled it looks better."""
    strata = [
        Stratum.of([0.0] * 380 + [1.0] * 20, [0.0] * 3400 + [1.0] * 600, 0.9),
        Stratum.of([0.0] * 2000 + [1.0] * 2000, [0.0] * 100 + [1.0] * 300, 0.1),
    ]
    pooled_before, pooled_after = 2020 / 4400, 900 / 4400
    assert pooled_after < pooled_before
    low, high = difference_limits(strata, 0.05, 0.05, WEIGHTS, WEIGHTS)
    assert 0 < low < high


def test_many_worlds_at_once_are_the_worlds_one_by_one() -> None:
    random = np.random.default_rng(7)
    points = np.array([0.0, 0.5, 1.0])
    production, candidate = (random.integers(0, size, (12, 3)).astype(float) for size in (80, 40))
    together = difference_limits([Stratum(points, production, candidate, 0.3)], 0.05, 0.05, WEIGHTS, WEIGHTS)
    for world in range(12):
        alone = difference_limits(
            [Stratum(points, production[world], candidate[world], 0.3)], 0.05, 0.05, WEIGHTS, WEIGHTS
        )
        assert [float(limit) for limit in alone] == pytest.approx([limit[world] for limit in together], abs=1e-5)


def test_order_does_not_matter_and_more_users_tighten() -> None:
    few, many = [0.0, 0.5, 1.0] * 20, [0.0, 0.5, 1.0] * 200
    assert limits(few, few) == limits(few[::-1], few[::-1])
    narrow, wide = limits(many, many), limits(few, few)
    assert narrow[1] - narrow[0] < (wide[1] - wide[0]) / 2


def test_of_an_empty_arm_only_the_bounds_are_known() -> None:
    assert limits([], []) == (-1.0, 1.0)
    low, high = limits([], [0.0] * 50)
    assert low == -1.0
    assert 0 < high < 0.35  # production's mean is at least 0


def test_stakes_favour_the_expected_effect_and_sum_to_one() -> None:
    small, large = coupled_bets.stake_weights(0.01, 0.1), coupled_bets.stake_weights(0.2, 0.1)
    assert small.sum() == pytest.approx(1)
    assert small.min() > 0
    careful = STAKES < 0.3
    assert small[careful].sum() > 0.7 > large[careful].sum()


@pytest.mark.parametrize("bad", [[0.5, float("nan")], [1.5], [-0.1]])
def test_values_out_of_range_are_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        Stratum.of(bad, [0.5], 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: limits([0.5], [0.5], lower=0.0), "alpha"),
        (lambda: Stratum.of([0.5], [0.5], 1.0), "share"),
        (lambda: coupled_bets.stake_weights(0.0, 0.1), "effect"),
        (lambda: coupled_bets.stake_weights(0.1, 0.3), "variance"),
    ],
)
def test_arguments_out_of_range_are_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

"""Error rates of everything that may be looked at again and again; bounds are nominal + 3 Monte-Carlo errors."""

import math

import numpy as np
import pytest

from flywheel.components.statistics.betting import betting_lower, betting_upper, difference_lower, difference_upper
from flywheel.components.statistics.confidence_sequence import asymptotic_difference_limits
from flywheel.components.statistics.power import users_needed_sequential
from flywheel.components.statistics.sample_ratio import srm_detected, srm_steps_detected

pytestmark = [pytest.mark.simulation, pytest.mark.slow]


def mcse(rate, runs):
    """Monte-Carlo standard error of an estimated rate."""
    return math.sqrt(rate * (1 - rate) / runs)


def arm(rng, rate, steps, runs):
    """Cumulated users (k,) and rates (runs, k) of one arm; steps are the users between looks."""
    n = np.cumsum(steps)
    return n, np.cumsum(rng.binomial(steps, rate, size=(runs, len(steps))), axis=1) / n


def limits(rng, rate_a, rate_b, steps_a, steps_b, runs, n_star, sided):
    n_a, a = arm(rng, rate_a, steps_a, runs)
    n_b, b = arm(rng, rate_b, steps_b, runs)
    return asymptotic_difference_limits(a, a * (1 - a), n_a, b, b * (1 - b), n_b, 0.05, n_star, sided)


@pytest.mark.parametrize(
    ("rate", "small", "big"), [(0.1, 100, 100), (0.05, 20, 380), (0.01, 100, 100), (0.02, 10, 990)]
)
def test_aa_with_100_looks(rate, small, big):
    """A/A: the share of canaries in which any of 100 looks raises an alarm, or proves a margin that is not there."""
    runs = 4000
    rng = np.random.default_rng(small + big)
    steps_a, steps_b = np.full(100, big), np.full(100, small)
    lower, upper = limits(rng, rate, rate, steps_a, steps_b, runs, 2500, "two")
    two = ((lower > 0) | (upper < 0)).any(axis=1).mean()
    lower, upper = limits(rng, rate, rate, steps_a, steps_b, runs, 2500, "one")
    harm, gain = (lower > 0).any(axis=1).mean(), (upper < 0).any(axis=1).mean()
    print(f"A/A rate={rate} {small}:{big}: two-sided {two:.4f}, false harm {harm:.4f}, false gain {gain:.4f}")
    for error in (two, harm, gain):
        assert error <= 0.05 + 3 * mcse(0.05, runs)


@pytest.mark.parametrize(("small", "big"), [(100, 100), (20, 380)])
def test_false_advance_at_the_margin(small, big):
    """True harm equal to the margin: the share of canaries that ever prove non-inferiority."""
    runs = 4000
    rng = np.random.default_rng(3)
    _, upper = limits(rng, 0.05, 0.06, np.full(100, big), np.full(100, small), runs, 2000, "one")
    rate = (upper < 0.01).any(axis=1).mean()
    print(f"false advance {small}:{big}: {rate:.4f}")
    assert rate <= 0.05 + 3 * mcse(0.05, runs)


def test_a_ramp_keeps_the_level():
    """1 -> 5 -> 10 -> 25 -> 50% of 2000 users a look, twenty looks a stage, pooled from the start."""
    runs = 4000
    share = np.repeat([0.01, 0.05, 0.1, 0.25, 0.5], 20)
    steps_b = (2000 * share).astype(int)
    lower, upper = limits(np.random.default_rng(5), 0.05, 0.05, 2000 - steps_b, steps_b, runs, 3000, "one")
    harm, gain = (lower > 0).any(axis=1).mean(), (upper < 0).any(axis=1).mean()
    print(f"ramp: false harm {harm:.4f}, false gain {gain:.4f}")
    assert max(harm, gain) <= 0.05 + 3 * mcse(0.05, runs)


def test_planned_users_give_the_planned_power():
    runs = 2000
    users = users_needed_sequential(0.05, 0.01, share=0.5)
    steps = np.full(50, math.ceil(users / 100))
    rng = np.random.default_rng(7)
    _, upper = limits(rng, 0.05, 0.05, steps, steps, runs, users / 4, "one")
    power = (upper < 0.01).any(axis=1).mean()
    print(f"power after {users} users: {power:.3f}")
    assert 0.8 - 3 * mcse(0.8, runs) <= power <= 0.95


@pytest.mark.parametrize(("kind", "runs"), [("bernoulli", 300), ("rare", 300), ("graded", 300)])
def test_betting_limits_hold_at_every_moment(kind, runs):
    """The final limit is the best of all moments, so one comparison counts a miss at any of 1500 looks."""
    rng = np.random.default_rng(11)
    draw = {
        "bernoulli": (0.3, lambda: (rng.random(1500) < 0.3).astype(float)),
        "rare": (0.02, lambda: (rng.random(1500) < 0.02).astype(float)),
        "graded": (0.4, lambda: rng.beta(2, 3, 1500)),
    }
    mean, values = draw[kind]
    below = above = 0
    for _ in range(runs):
        x = values()
        below += betting_lower(x, 0.05, 2000) > mean
        above += betting_upper(x, 0.05, 2000) < mean
    print(f"betting {kind}: misses {below / runs:.4f} below, {above / runs:.4f} above")
    assert max(below, above) / runs <= 0.05 + 3 * mcse(0.05, runs)


def test_betting_difference_holds_at_every_moment():
    runs = 200
    rng = np.random.default_rng(13)
    harm = good = 0
    for _ in range(runs):
        candidate, production = (rng.random(300) < 0.1).astype(float), (rng.random(2700) < 0.1).astype(float)
        harm += difference_lower(candidate, production, 0.05) > 0
        good += difference_upper(candidate, production, 0.05) < 0
    print(f"betting A/A: false harm {harm / runs:.3f}, false gain {good / runs:.3f}")
    assert max(harm, good) / runs <= 0.05 + 3 * mcse(0.05, runs)


def test_sample_ratio_false_alarm_and_power():
    """100 looks at a 5% canary; then at one that loses a tenth of its users."""
    runs = 1000
    rng = np.random.default_rng(17)
    steps = np.full(100, 500)

    def alarms(share):
        small = np.cumsum(rng.binomial(steps, share, size=(runs, 100)), axis=1)
        total = np.cumsum(steps)
        return np.mean(
            [
                any(srm_detected([n - x, x], [0.95, 0.05], 0.05) for x, n in zip(row[9::10], total[9::10], strict=True))
                for row in small
            ]
        )

    false, found = alarms(0.05), alarms(0.045)
    print(f"sample ratio: false alarm {false:.4f}, found {found:.3f}")
    assert false <= 0.05 + 3 * mcse(0.05, runs)
    assert found > 0.9


def test_sample_ratio_over_a_ramp():
    runs = 1000
    rng = np.random.default_rng(19)
    shares = [0.01, 0.05, 0.25, 0.5]
    false = 0
    for _ in range(runs):
        stages = []
        for share in shares:
            x = int(rng.binomial(4000, share))
            stages.append(([4000 - x, x], [1 - share, share]))
            if srm_steps_detected(stages, 0.05):
                false += 1
                break
    print(f"sample ratio over a ramp: false alarm {false / runs:.4f}")
    assert false / runs <= 0.05 + 3 * mcse(0.05, runs)

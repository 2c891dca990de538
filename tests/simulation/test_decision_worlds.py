"""The canary's claims and the common rules' failures, in the worlds of `scripts/bench decisions`, fewer of each.

A true rate of alpha shows at most alpha + 3 Monte-Carlo standard errors: 8.3 % of 400 worlds where 5 % is promised.
"""

import math

import numpy as np
import pytest

from flywheel.components.contracts.rollout import Action
from flywheel.components.deployment.canary.cohort import Cohort, Groups
from flywheel.components.deployment.canary.judge import Judge
from flywheel.components.deployment.canary.policy import CanaryPolicy
from flywheel.scripts.benchmarks.decision_worlds import canary_rows, judge_rows, turn_streams
from flywheel.scripts.benchmarks.decision_worlds.canary_worlds import VALUES, Rollouts, Truth, user_values
from flywheel.scripts.benchmarks.decision_worlds.common_rules import kayenta_fails, unless_significantly_worse

pytestmark = [pytest.mark.simulation, pytest.mark.slow, pytest.mark.timeout(300)]

ALPHA = 0.05
WORLDS = 400


def most(worlds: int, rate: float = ALPHA) -> float:
    """Largest share that a true rate shows, three Monte-Carlo standard errors allowed."""
    return rate + 3 * math.sqrt(rate * (1 - rate) / worlds)


@pytest.mark.parametrize(
    ("truth", "share"),
    [(Truth(), None), (Truth(drift=0.3), None), (Truth(), 0.01)],
    ids=["ramp", "drift", "one-percent"],
)
def test_equal_candidate_is_rarely_rolled_back_in_100_looks_at_ten_metrics(truth: Truth, share: float | None) -> None:
    worlds = 150 if share is None else WORLDS
    found = canary_rows.false_rollback(truth, worlds, 31, share)
    assert found.rate("rolled_back") <= most(worlds)


@pytest.mark.parametrize("share", [*canary_rows.SHARES, None])
def test_harmful_candidate_is_not_shipped_at_any_share(share: float | None) -> None:
    worlds = 150 if share is None else WORLDS
    found = canary_rows.shipped(share, canary_rows.HARMFUL, worlds, 41)
    assert found.rate("promoted") <= most(worlds)
    # Twice the traffic of a fixed-horizon canary finds it; a ramp spends much of that at small shares.
    assert found.rate("rolled_back") >= (0.4 if share is None else 0.9)


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_candidate_at_the_margin_is_rarely_promoted(share: float) -> None:
    margin = canary_rows.harm_margin(canary_rows.one_share(share))
    truth = Truth({canary_rows.METRIC: (canary_rows.BASE, canary_rows.BASE + margin)})
    assert canary_rows.shipped(share, truth, WORLDS, 51).rate("promoted") <= most(WORLDS)


def test_harm_is_found_within_one_and_a_half_fixed_horizons() -> None:
    found, fixed, alpha = canary_rows.delay(WORLDS, 71)
    until = np.where(found.rolled_back, found.users, np.inf)
    assert alpha < ALPHA / 3
    assert np.median(until) <= 1.5 * fixed
    assert found.users.mean() <= 1.5 * fixed
    assert found.rate("rolled_back") >= 0.9


def test_the_judge_decides_what_the_worlds_decide() -> None:
    """Forty looks of the packaged ramp: the same users, one by one, through `Judge.assess` and `Judge.decide`."""
    policy = CanaryPolicy.for_shares()
    worlds, compared = 6, dict.fromkeys(Action, 0)
    truth = Truth({"bad_feedback": (0.05, 0.09)})
    rollouts = Rollouts(policy, truth, worlds, 700, 5)
    judge = Judge(policy, "simulation")
    for _ in range(40):
        rollouts.arrive()
        harm, safe = rollouts.judged(np.ones(worlds, dtype=bool))
        for world in range(worlds):
            step = policy.steps[int(rollouts.step[world])]
            groups = Groups(*(cohort(rollouts, arm, world) for arm in range(2)))
            users = {"production": groups.production.users, "candidate": groups.candidate.users}
            action, _ = judge.decide(judge.assess(groups, step), users, step, 0)
            expected = Action.ROLLBACK if harm[world] else Action.ADVANCE if safe[world] else Action.HOLD
            assert action is expected
            compared[action] += 1
        rollouts.step = np.minimum(rollouts.step + (safe & ~harm), len(policy.steps) - 1)
    assert min(compared.values()) > 0, f"every action is compared: {compared}"


def cohort(rollouts: Rollouts, arm: int, world: int) -> Cohort:
    """The users of one arm of one world as the judge takes them; goals, which decide nothing here, are left out."""
    found = Cohort(users=int(rollouts.users[arm, :, world].sum()))
    for rule in rollouts.rules:
        for wave in range(len(rollouts.policy.steps)):
            seen = rollouts.seen[rule.name][arm, wave, world]
            if not rule.ratio:
                found.add(rule.measure, np.repeat(VALUES, seen.astype(int)).tolist(), wave)
            elif seen[0] > 0:
                found.add(rule.measure, like(*seen), wave)
    return found


def like(n: float, total: float, squares: float) -> list[float]:
    """Numbers with the given sums."""
    shape = np.linspace(-1, 1, int(n)) if n > 1 else np.zeros(1)
    spread = math.sqrt(max(squares - total**2 / n, 0.0) / max(float((shape**2).sum()), 1e-12))
    return (total / n + spread * shape).tolist()


def test_users_have_the_rate_and_the_correlation_they_claim() -> None:
    values, chances = user_values(np.array([0.05, 0.3]), 0.3, single=False)
    assert chances.sum(axis=-1) == pytest.approx(1.0)
    assert chances @ values == pytest.approx([0.05, 0.3])
    expected = [
        rate * (1 - rate) * np.mean([(1 + (turns - 1) * 0.3) / turns for turns in (2, 3, 4)]) for rate in (0.05, 0.3)
    ]
    assert chances @ values**2 - (chances @ values) ** 2 == pytest.approx(expected)


def test_biased_judge_fakes_a_gain_and_the_correction_does_not() -> None:
    ours, naive, covered = judge_rows.flattered(WORLDS)
    assert ours <= most(WORLDS)
    assert naive > 0.9
    assert 0.93 - 2 * math.sqrt(0.95 * 0.05 / WORLDS) <= covered


def test_clustered_labels_are_covered() -> None:
    assert judge_rows.clustered_coverage(WORLDS) >= 0.93 - 2 * math.sqrt(0.95 * 0.05 / WORLDS)


def test_minutes_raise_false_alarms_where_users_do_not() -> None:
    """Users who stay make per-minute averages lean on each other: Mann-Whitney on minutes fails, users do not."""
    found = turn_streams.decide(turn_streams.Stream(), 60, 3)
    assert found["ours"].mean() <= most(60)
    assert found["kayenta"].mean() > 0.5
    harm = turn_streams.decide(turn_streams.Stream(rates=(0.05, 0.3)), 60, 4)
    assert harm["ours"].mean() > 0.8


def test_common_rules_do_what_their_sources_do() -> None:
    rng = np.random.default_rng(6)
    base = rng.normal(100, 5, 60)
    assert not kayenta_fails(base, base)
    assert kayenta_fails(base + 10, base) and not kayenta_fails(base - 10, base), "only an increase fails"
    assert unless_significantly_worse(0.06, 1000, 0.05, 1000)
    assert not unless_significantly_worse(0.08, 1000, 0.05, 1000)

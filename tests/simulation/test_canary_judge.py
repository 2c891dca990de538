"""Error rates of the canary's judge, by simulation: whole ramps with looks all along, clustered users, three guardrails.

Every bound is asserted with its Monte-Carlo error: a true rate of alpha shows at most alpha + 3 standard errors.
"""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from flywheel.components.contracts.rollout import Action
from flywheel.components.deployment.bounded_difference import difference_limits
from flywheel.components.deployment.guardrails import Cohort
from flywheel.components.deployment.judge import Judge
from flywheel.components.deployment.policy import CanaryPolicy

pytestmark = [pytest.mark.simulation, pytest.mark.slow, pytest.mark.timeout(300)]

WORLDS = 500
LOOKS = 40
USERS_PER_LOOK = 100
ALPHA = 0.05
POLICY = CanaryPolicy.for_shares((0.01, 0.05, 0.25, 0.5, 1.0))
MARGIN = POLICY.steps[-1].bad_feedback_margin
MONTE_CARLO = 3 * math.sqrt(ALPHA * (1 - ALPHA) / WORLDS)


@dataclass
class Ending:
    decision: str
    users: int  # seen in all
    exposed: int  # on the candidate
    share: float


def users_of(random: np.random.Generator, count: int, rate: float, icc: float) -> list[float]:
    """Bad-feedback shares of users with 2 to 4 turns, each user with a propensity of their own."""
    propensity = rate if icc == 0 else random.beta(rate * (1 / icc - 1), (1 - rate) * (1 / icc - 1), count)
    turns = random.integers(2, 5, count)
    return (random.binomial(turns, propensity) / turns).tolist()


def ramp(seed: int, production: float, candidate: float, icc: float = 0.3, slower: float = 1.0) -> Ending:
    """Run one ramp: 40 looks, 100 new users between two looks."""
    random = np.random.default_rng(seed)
    judge = Judge(POLICY, "simulation")
    groups = {"production": Cohort(), "candidate": Cohort()}
    index, seen = 0, 0
    for _ in range(LOOKS):
        step = POLICY.steps[index]
        seen += USERS_PER_LOOK
        exposed = int(random.binomial(USERS_PER_LOOK, step.share))
        control = int(random.binomial(USERS_PER_LOOK - exposed, (1 - POLICY.control_floor) / (1 - step.share)))
        for arm, count, rate, factor in (
            ("production", control, production, 1.0),
            ("candidate", exposed, candidate, slower),
        ):
            groups[arm].bad_feedback += users_of(random, count, rate, icc)
            groups[arm].errors += users_of(random, count, 0.005, 0.0)
            groups[arm].log_latency += (math.log(40 * factor) + 0.4 * random.standard_normal(count)).tolist()
        users = {arm: cohort.users for arm, cohort in groups.items()}
        action, _ = judge.decide(judge.assess(groups, step), users, step, seen)
        if action is Action.ROLLBACK:
            return Ending("rollback", seen, users["candidate"], step.share)
        if action is Action.ADVANCE:
            index += 1
            if index == len(POLICY.steps):
                return Ending("promote", seen, users["candidate"], step.share)
    return Ending("hold", seen, groups["candidate"].users, POLICY.steps[index].share)


def worlds(production: float, candidate: float, **options: float) -> list[Ending]:
    return [ramp(seed, production, candidate, **options) for seed in range(WORLDS)]


def rate(endings: list[Ending], decision: str) -> float:
    return sum(ending.decision == decision for ending in endings) / len(endings)


@pytest.mark.parametrize("bad_rate", [0.05, 0.25])
def test_an_equal_candidate_is_rarely_rolled_back(bad_rate: float) -> None:
    endings = worlds(bad_rate, bad_rate)
    print(f"A/A at {bad_rate}: rollback {rate(endings, 'rollback'):.3f}, promote {rate(endings, 'promote'):.3f}")
    assert rate(endings, "rollback") <= ALPHA + MONTE_CARLO


@pytest.mark.parametrize("bad_rate", [0.05, 0.25])
def test_a_candidate_at_the_margin_is_rarely_promoted(bad_rate: float) -> None:
    endings = worlds(bad_rate, bad_rate + MARGIN)
    print(f"at margin from {bad_rate}: promote {rate(endings, 'promote'):.3f}, roll {rate(endings, 'rollback'):.3f}")
    assert rate(endings, "promote") <= ALPHA + MONTE_CARLO


def test_a_candidate_slower_by_the_margin_is_rarely_promoted() -> None:
    endings = worlds(0.05, 0.05, slower=POLICY.steps[-1].latency_margin)
    print(f"latency at margin: promote {rate(endings, 'promote'):.3f}, roll {rate(endings, 'rollback'):.3f}")
    assert rate(endings, "promote") <= ALPHA + MONTE_CARLO


def test_harm_is_found_early_and_never_shipped() -> None:
    endings = worlds(0.05, 0.20)
    found = [ending for ending in endings if ending.decision == "rollback"]
    exposed = np.percentile([ending.exposed for ending in found], [50, 90])
    seen = np.percentile([ending.users for ending in found], [50, 90])
    print(f"5% -> 20%: found {len(found) / len(endings):.3f}, exposed {exposed}, users seen {seen}")
    assert rate(endings, "promote") <= ALPHA + MONTE_CARLO
    assert len(found) / len(endings) >= 0.95
    assert exposed[0] <= 60
    assert np.mean([ending.share <= 0.25 for ending in found]) >= 0.9


def test_a_better_candidate_is_promoted() -> None:
    endings = worlds(0.25, 0.05, icc=0.0)
    seen = np.percentile([ending.users for ending in endings if ending.decision == "promote"], [50, 90])
    print(f"25% -> 5%: promote {rate(endings, 'promote'):.3f}, users seen {seen}")
    assert rate(endings, "promote") >= 0.95
    assert seen[1] <= 2000


def test_ten_guardrails_share_one_error_rate() -> None:
    """A/A with ten correlated metrics of clustered users and twenty looks: any of them may roll back."""
    false = 0
    count = 150
    for seed in range(count):
        random = np.random.default_rng(seed)
        arms = [np.zeros((10, 0)), np.zeros((10, 0))]
        for _ in range(LOOKS // 2):
            for arm, new in enumerate((60, 15)):
                mood = random.beta(0.1 * 2.3, 0.9 * 2.3, new)  # one propensity for all ten metrics
                values = random.binomial(3, np.broadcast_to(mood, (10, new))) / 3
                arms[arm] = np.concatenate([arms[arm], values], axis=1)
            if any(
                difference_limits(first, second, ALPHA / 10, ALPHA)[0] > 0
                for first, second in zip(arms[0], arms[1], strict=True)
            ):
                false += 1
                break
    print(f"A/A, ten metrics: rollback {false / count:.3f}")
    assert false / count <= ALPHA + 3 * math.sqrt(ALPHA * (1 - ALPHA) / count)


def test_limits_cover_at_every_look() -> None:
    """The two-sided miss rate over 30 looks of very unequal arms, at an equal and at an unequal truth."""
    for production, candidate in ((0.1, 0.1), (0.3, 0.5)):
        missed = 0
        for seed in range(WORLDS):
            random = np.random.default_rng(seed)
            first: list[float] = []
            second: list[float] = []
            for _ in range(30):
                first += users_of(random, 60, production, 0.3)
                second += users_of(random, 5, candidate, 0.3)
                lower, upper = difference_limits(first, second, ALPHA, ALPHA)
                if not lower <= candidate - production <= upper:
                    missed += 1
                    break
        print(f"coverage at {production} -> {candidate}: missed {missed / WORLDS:.3f}")
        assert missed / WORLDS <= 2 * ALPHA + MONTE_CARLO

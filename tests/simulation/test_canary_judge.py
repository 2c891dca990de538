"""Error rates of the canary's judge, by simulation: whole ramps with looks all along, clustered users, many guardrails.

The ramps are those of `scripts/benchmarks/decision_worlds` (`flywheel bench decisions` runs 2000 of each), whose
agreement with `Judge` is shown by a test of their own. Every bound is asserted with its Monte-Carlo error: a true rate
of alpha shows at most alpha + 3 standard errors (4.1 points at 250 worlds, 2.1 at 1000).
"""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from flywheel.components.deployment.canary.guardrails import stakes
from flywheel.components.deployment.canary.judge import Judge
from flywheel.components.deployment.canary.metric_rule import MetricRule
from flywheel.components.deployment.canary.policy import CanaryPolicy
from flywheel.components.statistics.coupled_bets import Stratum, shown_above, shown_below
from flywheel.components.statistics.power import users_needed_fixed
from flywheel.scripts.benchmarks.decision_worlds.canary_worlds import Endings, Rollouts, Truth

pytestmark = [pytest.mark.simulation, pytest.mark.slow, pytest.mark.timeout(300)]

Floats = NDArray[np.float64]

WORLDS = 250
ALPHA = 0.05
STRICT, WIDE = CanaryPolicy.for_shares(), CanaryPolicy.for_shares(harm_budget=0.05)
BAD = next(rule for rule in STRICT.guardrails if rule.name == "bad_feedback")
HARM_ALPHA = Judge(STRICT, "simulation").alpha_of("bad_feedback")
HARM_STAKES, SAFE_STAKES = stakes(BAD)


def at_most(rate: float, worlds: int = WORLDS) -> float:
    """The bound with three Monte-Carlo standard errors."""
    return rate + 3 * math.sqrt(rate * (1 - rate) / worlds)


def first_shown(
    rates: tuple[float, float],
    share: float,
    alpha: float,
    weights: Floats,
    worlds: int,
    looks: int,
    per_look: int,
    seed: int,
    margin: float | None = None,
    metrics: int = 1,
) -> Floats:
    """Users until something is shown, when each user gives one yes or no and the traffic share stays.

    Args:
        rates: Truth of (production, candidate).
        share: Candidate's share of the traffic.
        alpha: Error rate of each metric's limit.
        weights: Weights of the stakes.
        worlds: How many worlds.
        looks: Looks.
        per_look: Users between looks, both arms.
        seed: Seed.
        margin: None: wait for harm; else for "inside the margin".
        metrics: Metrics, each of which may show it; a user who says yes to one tends to say yes to all.

    Returns:
        Users seen at the first look that shows it in any metric, infinite where none does, shape (worlds,).
    """
    random = np.random.default_rng(seed)
    values = np.array([0.0, 1.0])
    counts = np.zeros((2, worlds, metrics, 2))
    found = np.full(worlds, np.inf)
    for look in range(1, looks + 1):
        exposed = random.binomial(per_look, share, worlds)
        for arm, size in enumerate((per_look - exposed, exposed)):
            if metrics == 1:
                yes = random.binomial(size, rates[arm])[:, None]
            else:
                mood = random.beta(2 * rates[arm], 2 * (1 - rates[arm]), int(size.sum()))  # correlation of 1/3
                said = random.random((mood.size, metrics)) < mood[:, None]
                yes = np.add.reduceat(said, np.cumsum([0, *size[:-1]]), axis=0) * (size > 0)[:, None]
            counts[arm] += np.stack([size[:, None] - yes, yes], axis=-1)
        strata = [Stratum(values, counts[0], counts[1], share)]
        shown = (
            shown_above(strata, 0.0, alpha, weights) if margin is None else shown_below(strata, margin, alpha, weights)
        )
        found = np.where(np.isinf(found) & shown.any(axis=1), look * per_look, found)
    return found


class LateRollouts(Rollouts):
    """Users who are judged three looks after they came, when their feedback has."""

    def arrive(self) -> None:
        """Put the newcomers behind those who came before them."""
        before = (self.users.copy(), {name: seen.copy() for name, seen in self.seen.items()})
        super().arrive()
        queue = self.__dict__.setdefault("young", [])
        queue.append((self.users - before[0], {name: seen - before[1][name] for name, seen in self.seen.items()}))
        self.users, self.seen = before
        if len(queue) > 3:
            users, seen = queue.pop(0)
            self.users += users
            for name, counts in seen.items():
                self.seen[name] += counts


class SharedDays(Rollouts):
    """Days move both arms by the same amount, so that the candidate's excess stays what it is."""

    def _observe(self, rule: MetricRule, arm: int, wave: int, came: NDArray[np.int64], factor: Floats) -> None:
        if arm == 1 and rule.name in self.truth.rates and not rule.ratio:
            production, candidate = self.truth.rates[rule.name]
            factor = (production * factor + candidate - production) / candidate
        super()._observe(rule, arm, wave, came, factor)


def ramps(
    bad: tuple[float, float],
    policy: CanaryPolicy = WIDE,
    per_look: float = 100,
    looks: int = 40,
    kind: type[Rollouts] = Rollouts,
    drift: float = 0.0,
    latency: float = 1.0,
) -> Endings:
    """Ramps with users who are clusters of turns (ICC 0.3), judged on all eight guardrails."""
    truth = Truth({"bad_feedback": bad, "latency": (4.0, 4.0 + math.log(latency))}, drift=drift)
    ended = kind(policy, truth, WORLDS, per_look, 1).run(looks)
    decided = ended.users[ended.promoted | ended.rolled_back]
    print(
        f"{bad} drift {drift} latency {latency}: promote {ended.promoted.mean():.3f}, rollback "
        f"{ended.rolled_back.mean():.3f}, users {np.percentile(decided, [50, 90]) if decided.size else '-'}"
    )
    return ended


@pytest.mark.parametrize(
    ("kind", "drift"),
    [(Rollouts, 0.0), (SharedDays, 0.7), (LateRollouts, 0.0)],
    ids=["plain", "autocorrelated", "delayed"],
)
def test_an_equal_candidate_is_rarely_rolled_back_and_comes_through(kind: type[Rollouts], drift: float) -> None:
    ended = ramps((0.05, 0.05), kind=kind, drift=drift)
    assert ended.rolled_back.mean() <= at_most(ALPHA)
    assert ended.promoted.mean() >= 0.8


@pytest.mark.parametrize(
    ("bad", "drift", "latency"),
    [(0.10, 0.0, 1.0), (0.10, 0.7, 1.0), (0.05, 0.0, 1.5)],
    ids=["bad-feedback", "autocorrelated", "latency"],
)
def test_a_candidate_at_the_margin_is_rarely_promoted(bad: float, drift: float, latency: float) -> None:
    assert ramps((0.05, bad), kind=SharedDays, drift=drift, latency=latency).promoted.mean() <= at_most(ALPHA)


def test_a_disaster_is_found_within_some_sixty_exposed_users_and_never_shipped() -> None:
    ended = ramps((0.05, 0.20))
    assert ended.promoted.mean() <= at_most(ALPHA)
    assert ended.rolled_back.mean() >= 0.95
    assert np.mean(ended.step[ended.rolled_back] <= 2) >= 0.9  # at 25 % of the users or before


def test_a_better_candidate_is_promoted_with_the_demos_traffic() -> None:
    ended = ramps((0.25, 0.05))
    assert ended.promoted.mean() >= 0.95
    assert np.percentile(ended.users, 90) <= 3000


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_harm_of_a_point_and_a_half_is_not_shipped_at_any_traffic(share: float) -> None:
    """5 % to 6.5 % under the packaged policy: three quarters of a million users at 1 %, 100 looks."""
    per_look = {0.01: 7500, 0.1: 1500, 0.5: 800}[share]
    worlds = 1000
    shipped = first_shown((0.05, 0.065), share, ALPHA, SAFE_STAKES, worlds, 100, per_look, 3, BAD.margin)
    margin = first_shown((0.05, 0.06), share, ALPHA, SAFE_STAKES, worlds, 100, per_look, 4, BAD.margin)
    equal = first_shown((0.05, 0.05), share, ALPHA, SAFE_STAKES, 200, 100, per_look, 5, BAD.margin)
    print(
        f"{share:.0%}: shipped at 6.5 % {np.isfinite(shipped).mean():.4f}, at the margin {np.isfinite(margin).mean():.4f}"
        f", equal {np.isfinite(equal).mean():.3f} (median {np.median(equal):,.0f} users)"
    )
    assert np.isfinite(shipped).mean() <= at_most(ALPHA, worlds)
    assert np.isfinite(margin).mean() <= at_most(ALPHA, worlds)
    assert np.isfinite(equal).mean() >= 0.8  # it is not safe by never shipping anything


def test_the_whole_packaged_ramp_ships_no_harm_of_a_point_and_a_half() -> None:
    ended = ramps((0.05, 0.065), STRICT, per_look=1000)
    assert ended.promoted.mean() <= at_most(ALPHA)
    assert ended.rolled_back.mean() >= 0.9


@pytest.mark.parametrize("alpha", [HARM_ALPHA, 0.005])
def test_harm_at_ten_percent_traffic_is_found_about_as_soon_as_by_a_test_of_fixed_size(alpha: float) -> None:
    """Median users until the rollback, against the users of a one-sided fixed-horizon test of power 0.8."""
    fixed = users_needed_fixed(0.05, 0.015, 0.1, alpha)
    found = first_shown((0.05, 0.065), 0.1, alpha, HARM_STAKES, 600, 120, max(1, round(fixed / 40)), 7)
    median, slow = np.median(found), np.quantile(found, 0.8)
    print(f"alpha {alpha:.4f}: fixed {fixed:,}, median {median:,.0f} ({median / fixed:.2f}), 80 % {slow / fixed:.2f}")
    assert median <= 1.2 * fixed  # the issue asks for 1.5
    assert slow <= 1.8 * fixed


def test_ten_correlated_guardrails_and_a_hundred_looks_share_one_error_rate() -> None:
    worlds = 400
    found = first_shown((0.1, 0.1), 0.1, ALPHA / 10, HARM_STAKES, worlds, 100, 150, 9, metrics=10)
    print(f"A/A, ten metrics, 100 looks: rollback {np.isfinite(found).mean():.3f}")
    assert np.isfinite(found).mean() <= at_most(ALPHA, worlds)


@pytest.mark.parametrize(("rate", "share"), [(0.01, 0.01), (0.1, 0.5), (0.5, 0.1)])
def test_limits_hold_at_every_look_from_the_first_user_on(rate: float, share: float) -> None:
    """Misses of the truth on either side over 60 looks that begin with 20 users; no asymptotics to wait for."""
    worlds = 600
    for delta in (0.0, 0.2):
        rates = (rate, rate + delta)
        above = first_shown(rates, share, ALPHA, HARM_STAKES, worlds, 60, 20, 11, margin=delta)
        below = first_shown(rates[::-1], share, ALPHA, HARM_STAKES, worlds, 60, 20, 12, margin=-delta)
        harm = np.inf if delta else first_shown(rates, share, ALPHA, HARM_STAKES, worlds, 60, 20, 13)
        missed = [float(np.isfinite(found).mean()) for found in (above, below, harm)]
        print(f"{rate} + {delta} at {share:.0%}: missed {missed}")
        assert max(missed) <= at_most(ALPHA, worlds)

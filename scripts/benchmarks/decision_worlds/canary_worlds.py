"""Worlds of the canary: many rollouts at once, judged at every look by the limits that judge a real one.

A user is a share of bad turns out of 2 to 4, users of one arm differ (ICC 0.3 unless said otherwise), metrics are
independent, which is the worst case for their shared error rate. The sequences are those of `components/statistics`
with the alphas, stakes and margins of `deployment.guardrails`; `tests/simulation/test_decision_worlds.py` shows that
`deployment.judge.Judge` decides the same from the same users.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from flywheel.components.deployment.canary import guardrails
from flywheel.components.deployment.canary.judge import Judge
from flywheel.components.deployment.canary.metric_rule import MetricRule
from flywheel.components.deployment.canary.policy import CanaryPolicy
from flywheel.components.statistics.coupled_bets import STAKES, Stratum, confine, shown_above, shown_below
from flywheel.components.statistics.stratified_sequence import stratified_limits

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Side = Literal["above", "below"]

TURNS = (2, 3, 4)
VALUES = np.array(sorted({good / turns for turns in TURNS for good in range(turns + 1)}))
BINARY = np.array([0.0, 1.0])


@dataclass(frozen=True)
class Truth:
    """What is true of both arms.

    Attributes:
        rates: Metric to (production, candidate) mean rate per user, or to mean logs for ratios; a metric of the policy
            that is not named is equal in both arms at the rule's expectation.
        icc: Correlation of the turns of one user.
        single: One turn per user: values are 0 or 1.
        drift: Standard deviation of the log rate over looks, shared by both arms.
        phi: Autocorrelation of that drift from look to look.
    """

    rates: dict[str, tuple[float, float]] = field(default_factory=dict)
    icc: float = 0.3
    single: bool = False
    drift: float = 0.0
    phi: float = 0.8


@dataclass(frozen=True)
class Endings:
    """How each rollout ended, arrays of shape (worlds,)."""

    promoted: Flags
    rolled_back: Flags
    users: Floats  # of the whole traffic until the end
    step: NDArray[np.int64]

    def rate(self, name: Literal["promoted", "rolled_back"]) -> float:
        """Share of the worlds that ended so."""
        return float(getattr(self, name).mean())


def user_values(rate: Floats, icc: float, single: bool) -> tuple[Floats, Floats]:
    """Distribution of one user's value.

    A share of the users never complains, the others do so with one propensity: mean `rate`, intraclass correlation
    `icc`.

    Args:
        rate: Mean rates, any shape.
        icc: Correlation of the turns of one user, in [0, 1).
        single: One turn each.

    Returns:
        Values, shape (v,), and their probabilities, shape (..., v).
    """
    if single:
        return BINARY, np.stack([1 - rate, rate], axis=-1)
    propensity = rate + icc * (1 - rate)
    able = rate / propensity
    chances = np.zeros((*np.shape(rate), VALUES.size))
    for turns in TURNS:
        for bad in range(turns + 1):
            place = int(np.argmin(np.abs(VALUES - bad / turns)))
            mass = math.comb(turns, bad) * propensity**bad * (1 - propensity) ** (turns - bad)
            chances[..., place] += able * mass / len(TURNS)
    chances[..., 0] += 1 - able
    return VALUES, chances


class Rollouts:
    """Many rollouts of one truth under one policy, advanced look by look.

    Args:
        policy: The rules.
        truth: What is true.
        worlds: How many.
        users_per_look: Users of the whole traffic between two looks.
        seed: Seed.
        only: Guardrails to judge; empty: all. Alphas stay those of the whole policy.
    """

    def __init__(
        self,
        policy: CanaryPolicy,
        truth: Truth,
        worlds: int,
        users_per_look: float,
        seed: int,
        only: Sequence[str] = (),
    ) -> None:
        self.policy, self.truth, self.worlds, self.users_per_look = policy, truth, worlds, users_per_look
        self.judge = Judge(policy, "simulation")
        self.rules = [rule for rule in policy.guardrails if not only or rule.name in only]
        self._rng = np.random.default_rng(seed)
        self._stakes = {rule.name: guardrails.stakes(rule) for rule in self.rules if not rule.ratio}
        shares = [0.0, *(step.share for step in policy.steps)]
        self._widths = np.diff(shares)
        self._planned = self.judge.waves.planned
        self._controls = self._widths * (1 / np.array(self._planned) - 1)
        waves = len(policy.steps)
        self.step = np.zeros(worlds, dtype=np.int64)
        self.users = np.zeros((2, waves, worlds))  # production, candidate
        size = (BINARY if truth.single else VALUES).size
        # Rates: users by value. Ratios: users, sum and sum of squares of their logs.
        self.seen = {rule.name: np.zeros((2, waves, worlds, 3 if rule.ratio else size)) for rule in self.rules}
        self._mood = np.zeros(worlds)

    def run(self, looks: int, scheduled: Sequence[int] = ()) -> Endings:
        """Let the traffic come.

        Args:
            looks: Looks in all.
            scheduled: Step at each look, to stress the looks; empty: the judge moves on and promotes.

        Returns:
            The endings.
        """
        live = np.ones(self.worlds, dtype=bool)
        promoted, rolled = np.zeros(self.worlds, dtype=bool), np.zeros(self.worlds, dtype=bool)
        users = np.full(self.worlds, float(looks * self.users_per_look))
        for look in range(looks):
            if scheduled:
                self.step[:] = scheduled[look]
            self.arrive()
            harm, safe = self.judged(live, advancing=not scheduled)
            rolled |= harm
            moving = safe & ~harm & live
            last = self.step == len(self.policy.steps) - 1
            promoted |= moving & last
            ended = live & (harm | (moving & last))
            users[ended] = (look + 1) * self.users_per_look
            live &= ~ended
            self.step[moving & ~last] += 1
            if not live.any():
                break
        return Endings(promoted, rolled, users, self.step.copy())

    def arrive(self) -> None:
        """One interval of traffic: new users of the waves that are compared at each world's step."""
        truth, rng = self.truth, self._rng
        if truth.drift:
            shock = rng.standard_normal(self.worlds) * math.sqrt(1 - truth.phi**2)
            self._mood = truth.phi * self._mood + shock
        factor = np.exp(truth.drift * self._mood - truth.drift**2 / 2) if truth.drift else np.ones(())
        for wave in range(len(self._widths)):
            open_ = self.step >= wave
            for arm, width in enumerate((self._controls[wave], self._widths[wave])):
                came = np.where(open_, rng.poisson(self.users_per_look * width, self.worlds), 0)
                self.users[arm, wave] += came
                for rule in self.rules:
                    self._observe(rule, arm, wave, came, factor)

    def _observe(self, rule: MetricRule, arm: int, wave: int, came: NDArray[np.int64], factor: Floats) -> None:
        truth, rng = self.truth, self._rng
        mean = truth.rates.get(rule.name, (0.0, 0.0) if rule.ratio else (rule.baseline, rule.baseline))[arm]
        if rule.ratio:
            total = mean * came + rule.spread * np.sqrt(came) * rng.standard_normal(self.worlds)
            within = rule.spread**2 * np.where(came > 1, rng.chisquare(np.maximum(came - 1, 1)), 0.0)
            squares = within + total**2 / np.maximum(came, 1)
            self.seen[rule.name][arm, wave] += np.stack([came, total, squares], axis=-1)
            return
        _, chances = user_values(np.clip(mean * factor, 1e-9, 0.999), truth.icc, truth.single)
        self.seen[rule.name][arm, wave] += rng.multinomial(came, chances)

    def judged(self, live: Flags, advancing: bool = True) -> tuple[Flags, Flags]:
        """Look: which worlds show harm, and which may move on.

        Args:
            live: Worlds to look at.
            advancing: Whether safety is of interest.

        Returns:
            Harm and safety, each of shape (worlds,).
        """
        harm, safe = np.zeros(self.worlds, dtype=bool), np.zeros(self.worlds, dtype=bool)
        for number, step in enumerate(self.policy.steps):
            here = np.flatnonzero(live & (self.step == number))
            for rule in self.rules:
                rest = here[~harm[here]]
                if rest.size:
                    harm[rest] = self._shown(rule, rest, number, "harm", step.following)
            enough = (self.users[:, : number + 1][:, :, here].sum(axis=1) >= step.minimum_users).all(axis=0)
            rest = here[enough & ~harm[here]] if advancing else here[:0]
            for rule in self.rules:
                if rest.size and not rule.free_at(step.following):
                    rest = rest[self._shown(rule, rest, number, "safe", step.following)]
            safe[rest] = True
        return harm, safe

    def _shown(self, rule: MetricRule, places: NDArray[np.intp], step: int, claim: str, following: float) -> Flags:
        """Whether harm (safety) of a guardrail is shown in some worlds, all at one step."""
        limit = rule.limit(rule.tolerance) if claim == "harm" else rule.margin_at(following)
        alpha = self.judge.alpha_of(rule.name) if claim == "harm" else self.policy.alpha
        side: Side = "above" if (claim == "harm") == (rule.better == "lower") else "below"
        seen = self.seen[rule.name][:, : step + 1][:, :, places]
        if rule.ratio:
            return self._ratio_shown(rule, seen, math.log(limit), alpha, side)
        stakes = self._stakes[rule.name][0 if claim == "harm" else 1]
        return self._rate_shown(seen, limit, alpha, side, stakes)

    def _rate_shown(self, seen: Floats, limit: float, alpha: float, side: Side, stakes: Floats) -> Flags:
        values = BINARY if self.truth.single else VALUES
        both = (seen.sum(axis=-1) > 0).all(axis=0)  # (waves, worlds): strata with an empty arm do not count
        counts = seen * both[None, :, :, None]
        # log(1 + x) <= x, and production's own mean is never excluded: a stake wins at most its sum of excesses.
        sizes = counts.sum(axis=-1)
        means = counts @ values / np.maximum(sizes, 1)
        planned = np.array(self._planned[: len(both)])
        most = np.minimum(STAKES[:, None], 0.95 / np.maximum(planned, 1 - planned))  # (stakes, waves)
        gains = (most * (1 - planned)) @ (sizes[1] * (means[1] - means[0] - limit))
        able = np.flatnonzero((gains > 0 if side == "above" else gains < 0).any(axis=0))
        found = np.zeros(seen.shape[2], dtype=bool)
        for pattern in np.unique(both[:, able], axis=1).T:  # as many strata as a judge would have, not more
            mine = able[(both[:, able] == pattern[:, None]).all(axis=0)]
            strata = [
                Stratum(values, counts[0, wave, mine], counts[1, wave, mine], self._planned[wave])
                for wave in np.flatnonzero(pattern)
            ]
            if strata:
                test = shown_above if side == "above" else shown_below
                found[mine] = test(strata, limit, alpha, stakes, confine(strata, alpha))
        return found

    def _ratio_shown(self, rule: MetricRule, seen: Floats, limit: float, alpha: float, side: Side) -> Flags:
        n, total, squares = np.moveaxis(seen, (3, 2), (0, 2))  # each (2, worlds, waves)
        mean = total / np.maximum(n, 1)
        variance = np.maximum((squares - n * mean**2) / np.maximum(n - 1, 1), 0.0)
        _, lower, upper, _ = stratified_limits(
            n[0], mean[0], variance[0], n[1], mean[1], variance[1], alpha, alpha, guardrails.expected_size(rule)
        )
        smaller = np.where((n >= 2).all(axis=0), n, 0.0).sum(axis=-1).min(axis=0)
        shown = lower > limit if side == "above" else upper < limit
        return np.asarray((smaller >= self.policy.asymptotic_minimum_users) & shown)

"""Error rates of the A/B of two live versions under a hundred peeks, with all nine metrics of the packaged rules."""

import math

import numpy as np
import pytest

from flywheel.components.deployment.ab import ab_compare
from flywheel.components.deployment.ab.ab_rules import AbRules
from flywheel.components.deployment.canary import guardrails
from flywheel.components.deployment.canary.cohort import Cohort, Groups
from flywheel.components.statistics.coupled_bets import Stratum, confine, shown_above, shown_below
from flywheel.components.statistics.multiplicity import split_alpha
from flywheel.components.statistics.stratified_sequence import stratified_limits
from flywheel.scripts.benchmarks.decision_worlds.canary_worlds import user_values

pytestmark = [pytest.mark.simulation, pytest.mark.slow, pytest.mark.timeout(300)]

RULES = AbRules.from_yaml()
ALPHAS = split_alpha(RULES.alpha, {rule.name: rule.alpha_weight for rule in RULES.metrics})
WORLDS, PEEKS, USERS = 300, 100, 80


class Live:
    """Two live versions in many worlds, told apart metric by metric; users are clusters of turns (ICC 0.3)."""

    def __init__(self, share_b: float, changes: dict[str, float], seed: int, users: int = USERS) -> None:
        self.share_b, self.changes, self.users = share_b, changes, users
        self.random = np.random.default_rng(seed)
        self.seen = {rule.name: np.zeros((2, WORLDS, 3 if rule.ratio else 7)) for rule in RULES.metrics}

    def arrive(self) -> None:
        """Users between two peeks."""
        on_b = self.random.binomial(self.users, self.share_b, WORLDS)
        for rule in RULES.metrics:
            for arm, count in enumerate((self.users - on_b, on_b)):
                change = self.changes.get(rule.name, 0.0) * arm
                if rule.ratio:
                    sums = change * count + rule.spread * np.sqrt(count) * self.random.standard_normal(WORLDS)
                    within = rule.spread**2 * self.random.chisquare(np.maximum(count - 1, 1)) * (count > 1)
                    self.seen[rule.name][arm] += np.stack([count, sums, within + sums**2 / np.maximum(count, 1)], -1)
                else:
                    _, chances = user_values(np.full(WORLDS, rule.baseline + change), 0.3, False)
                    self.seen[rule.name][arm] += self.random.multinomial(count, chances)

    def limit_shown(self, rule, limit: float, above: bool, alpha: float) -> np.ndarray:
        """Whether B against A is shown above (below) a limit, in each world."""
        seen = self.seen[rule.name]
        if rule.ratio:
            n, total, squares = np.moveaxis(seen, -1, 0)
            mean = total / np.maximum(n, 1)
            spread = np.maximum(squares - n * mean**2, 0) / np.maximum(n - 1, 1)
            parts = [part[:, None] for pair in zip(n, mean, spread, strict=True) for part in pair]
            _, low, high, _ = stratified_limits(*parts, alpha, alpha, guardrails.expected_size(rule))
            return (n.min(axis=0) >= 20) & ((low > math.log(limit)) if above else (high < math.log(limit)))
        values, _ = user_values(np.array([0.1]), 0.3, False)
        strata = [Stratum(values, seen[0], seen[1], self.share_b)]
        harm, safe = guardrails.stakes(rule)
        stakes = harm if above == (rule.better == "lower") else safe
        test = shown_above if above else shown_below
        return test(strata, limit, alpha, stakes, confine(strata, alpha))

    def winner(self) -> np.ndarray:
        """Whether any metric names a better version, whatever the guardrails say."""
        found = np.zeros(WORLDS, dtype=bool)
        for rule in RULES.metrics:
            slack = rule.tolerance if rule.role == "guardrail" else 0.0
            edges = (rule.limit(slack), 1 / rule.limit(slack) if rule.ratio else -rule.limit(slack))
            for above, limit in ((True, max(edges)), (False, min(edges))):
                found |= self.limit_shown(rule, limit, above, ALPHAS[rule.name] / 2)
        return found

    def equivalent(self) -> np.ndarray:
        """Whether every metric is inside its margin in both directions."""
        inside = np.ones(WORLDS, dtype=bool)
        for rule in RULES.metrics:
            edges = (rule.limit(rule.margin), 1 / rule.limit(rule.margin) if rule.ratio else -rule.limit(rule.margin))
            for above, limit in ((True, min(edges)), (False, max(edges))):
                if inside.any():
                    inside &= self.limit_shown(rule, limit, above, RULES.alpha)
        return inside


def at_most(rate: float) -> float:
    return rate + 3 * math.sqrt(rate * (1 - rate) / WORLDS)


@pytest.mark.parametrize("share_b", [0.5, 0.1])
def test_equal_versions_rarely_ever_get_a_winner_however_often_one_peeks(share_b: float) -> None:
    live, ever = Live(share_b, {}, 1), np.zeros(WORLDS, dtype=bool)
    for _ in range(PEEKS):
        live.arrive()
        ever |= live.winner()
    print(f"A/A at {share_b:.0%} B, {PEEKS} peeks, {len(RULES.metrics)} metrics: false winner {ever.mean():.4f}")
    assert ever.mean() <= at_most(RULES.alpha)


@pytest.mark.parametrize("name", ["bad_feedback", "latency"])
def test_versions_that_differ_by_a_margin_are_rarely_called_equivalent(name: str) -> None:
    rule = next(rule for rule in RULES.metrics if rule.name == name)
    change = rule.effect(rule.margin) if rule.ratio else rule.margin
    live, ever = Live(0.5, {name: change}, 2, users=3000), np.zeros(WORLDS, dtype=bool)
    for _ in range(PEEKS // 4):
        live.arrive()
        ever |= live.equivalent()
    print(f"{name} at its margin: ever called equivalent {ever.mean():.4f}")
    assert ever.mean() <= at_most(RULES.alpha)
    equal = Live(0.5, {}, 3, users=3000 * PEEKS // 4)
    equal.arrive()
    assert equal.equivalent().mean() >= 0.8  # and equal ones are, with the same users


def test_a_better_version_is_found() -> None:
    live, ever = Live(0.5, {"fewer_complaints": -0.05, "bad_feedback": -0.03}, 4), np.zeros(WORLDS, dtype=bool)
    for _ in range(PEEKS):
        live.arrive()
        ever |= live.winner()
    print(f"15 % -> 10 % bad turns within {PEEKS * USERS:,} users: found {ever.mean():.3f}")
    assert ever.mean() >= 0.9


def test_the_comparison_itself_names_the_winners_that_the_worlds_do() -> None:
    live, values = Live(0.5, {"fewer_complaints": -0.06}, 5, users=400), user_values(np.array([0.1]), 0.3, False)[0]
    rates = [rule for rule in RULES.metrics if not rule.ratio]
    agreed = set()
    for _ in range(8):
        live.arrive()
        winner = np.zeros(WORLDS, dtype=bool)
        for rule in rates:
            slack = rule.tolerance if rule.role == "guardrail" else 0.0
            for above, limit in ((True, abs(rule.limit(slack))), (False, -abs(rule.limit(slack)))):
                winner |= live.limit_shown(rule, limit, above, ALPHAS[rule.name] / 2)
        for world in range(0, WORLDS, 60):
            groups = Groups(Cohort(), Cohort())
            for rule in rates:
                for cohort, arm in ((groups.production, 0), (groups.candidate, 1)):
                    counts = live.seen[rule.name][arm, world].astype(int)
                    cohort.add(rule.measure, np.repeat(values, counts).tolist())
            outcomes = {metric.outcome for metric in ab_compare.assess(groups, 0.5, RULES)}
            assert bool(outcomes & {"a_better", "b_better"}) == winner[world]
            agreed.add(bool(winner[world]))
    assert agreed == {True, False}

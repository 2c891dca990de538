"""Critical cases one by one, and what slow and dear answers cost."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from flywheel.components.evaluation.metrics import cost, critical, latency_tail
from flywheel.components.evaluation.metrics.accuracy import compare as accuracy
from flywheel.components.evaluation.metrics.finding import Levels
from flywheel.components.evaluation.metrics.measures import MEASURES
from flywheel.components.evaluation.metrics.paired_rows import ArmColumns, PairedRows
from flywheel.components.evaluation.verdict.spec import KINDS, GauntletSpec, MetricSpec

LEVELS = Levels(0.05, 0.9)
METRICS: list[dict[str, Any]] = [
    {"name": "p", "measure": "accuracy", "role": "primary", "direction": "higher", "suites": ["changed"], "margin": 0,
     "effect": 0.1},
    {"name": "vital", "measure": "critical", "role": "guardrail", "direction": "lower", "suites": ["critical"],
     "margin": 0, "samples": 5},
    {"name": "dear", "measure": "cost", "role": "guardrail", "direction": "lower", "suites": ["changed"],
     "margin": 1.2},
    {"name": "slow", "measure": "latency_p95", "role": "guardrail", "direction": "lower", "suites": ["changed"],
     "margin": 1.3},
]  # fmt: skip
SPEC = GauntletSpec.model_validate(
    {"name": "s", "alpha": 0.05, "power": 0.8, "metrics": METRICS,
     "prices": {"production": {"input": 1, "output": 2}, "candidate": {"input": 2, "output": 2}}}
)  # fmt: skip
VITAL, DEAR, SLOW = SPEC.metrics[1:]


def arm(n: int, **columns: Any) -> ArmColumns:
    plain = {"correct": 1, "unsafe": 0, "tokens": 10, "latency_ms": np.nan, "samples": 5, "prompt_tokens": 20}
    plain |= {"helpful": np.nan, "human": np.nan, "attempts": np.nan}
    return ArmColumns(
        **{name: np.broadcast_to(np.asarray(value, float), n).copy() for name, value in {**plain, **columns}.items()}
    )


def rows(candidate: ArmColumns, production: ArmColumns, cluster: Any = None) -> PairedRows:
    n = candidate.correct.size
    ids = np.array([f"case {place}" for place in range(n)])
    empty = np.full(n, "")
    return PairedRows(ids, np.full(n, "critical"), np.arange(n) if cluster is None else cluster, {}, production,
                      candidate, (empty, empty))  # fmt: skip


def test_every_measure_has_a_kind_and_a_test() -> None:
    assert set(MEASURES) == set(KINDS) == set(MetricSpec.model_fields["measure"].annotation.__args__)  # type: ignore[union-attr]


def test_a_stumble_does_not_block_and_a_lost_case_is_named() -> None:
    stumbles = critical.compare(rows(arm(8, correct=[1, 1, 0.8, 0.6, 1, 1, 1, 1]), arm(8)), VITAL, LEVELS, SPEC)
    assert (stumbles.p_safe, stumbles.p_harm, stumbles.reasons) == (0.0, 1.0, ())
    lost = critical.compare(rows(arm(8, correct=[1, 1, 0.4, 1, 1, 1, 1, 1]), arm(8)), VITAL, LEVELS, SPEC)
    assert lost.p_safe == 1.0 and lost.value == 1 / 8 and lost.n_needed() is None
    assert lost.reasons == ("critical_case_lost: 'case 2' right 2 of 5 times, with production 5 of 5",)
    never = critical.compare(rows(arm(8, correct=[1, 0.4, 1, 1, 1, 1, 1, 1]), arm(8, correct=[1, 0.4] + [1] * 6)),
                             VITAL, LEVELS, SPEC)  # fmt: skip
    assert never.p_safe == 0.0, "production does not answer it either"
    only = critical.compare(rows(arm(1, correct=0), arm(1)), VITAL, LEVELS, SPEC)
    assert only.p_safe == 1.0 and only.p_harm == pytest.approx(2 * stats.fisher_exact([[0, 5], [5, 0]], "less").pvalue)
    many = critical.compare(rows(arm(30, correct=[0] * 20 + [1] * 10), arm(30)), VITAL, LEVELS, SPEC)
    assert many.p_harm < 1e-5 and "and 15 more" in many.reasons[0]


def test_rule_says_what_it_misses_and_forgives() -> None:
    said = critical.compare(rows(arm(2), arm(2)), VITAL, LEVELS, SPEC).test
    assert "wrong 81% of the time is missed with chance 0.05" in said
    assert f"blocks with chance {stats.binom.sf(2, 5, 0.01):.2g}" in said
    rng = np.random.default_rng(1)
    right = (rng.random((200_000, 5)) > 0.8107).sum(axis=1)
    assert (right >= 3).mean() == pytest.approx(0.05, abs=0.002)


def test_too_few_answers_never_pass() -> None:
    with pytest.raises(ValueError, match="'case 1' was answered 3 times, 5 times were registered"):
        critical.compare(rows(arm(2, samples=[5, 3]), arm(2)), VITAL, LEVELS, SPEC)


def test_cost_is_tokens_times_price() -> None:
    found = cost.compare(rows(arm(30), arm(30)), DEAR, LEVELS, SPEC)
    assert (found.production, found.candidate) == (pytest.approx(0.04), pytest.approx(0.06)), "per thousand answers"
    assert found.value == pytest.approx(1.5) and found.p_harm < 1e-6 and found.p_safe > 0.99
    with pytest.raises(ValueError, match="do not count the tokens of every question"):
        cost.compare(rows(arm(30, prompt_tokens=0), arm(30)), DEAR, LEVELS, SPEC)


def test_slow_tail_is_seen_although_the_median_is_the_same() -> None:
    rng = np.random.default_rng(2)
    base = rng.lognormal(3, 0.1, 400)
    tail = np.where(np.arange(400) % 8 == 0, base * 3, base)
    found = latency_tail.compare(rows(arm(400, latency_ms=tail), arm(400, latency_ms=base)), SLOW, LEVELS, SPEC)
    assert found.value > 2 and found.p_harm < 0.01 and found.p_safe > 0.9
    even = latency_tail.compare(rows(arm(400, latency_ms=base * 1.02), arm(400, latency_ms=base)), SLOW, LEVELS, SPEC)
    assert even.p_safe < 0.01 and even.lower == pytest.approx(1.02) == even.upper, "always two percent slower"
    assert even.candidate == pytest.approx(np.quantile(base * 1.02, 0.95), rel=0.02)


@pytest.mark.simulation
@pytest.mark.timeout(400)
def test_shares_of_right_answers_keep_the_level() -> None:
    """Items answered five times, candidate exactly at the margin: the claim of safety holds its error rate."""
    rng = np.random.default_rng(4)
    n, worlds, margin, passed = 240, 1500, 0.05, 0
    for _ in range(worlds):
        skill = rng.beta(6, 1, n)
        there = rng.binomial(5, skill) / 5
        here = rng.binomial(5, np.clip(skill - margin * skill / skill.mean(), 0, 1)) / 5
        true = -float((margin * skill / skill.mean()).mean())
        assert true == pytest.approx(-margin)
        passed += accuracy(here, there, np.arange(n), margin, LEVELS, None, 1).p_safe <= LEVELS.alpha
    error = (0.05 * 0.95 / worlds) ** 0.5
    assert passed / worlds <= 0.05 + 2 * error, passed / worlds

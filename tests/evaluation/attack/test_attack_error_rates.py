"""Proves by simulation what the attack's two metrics promise, at the packaged margins and the packaged budget.

The seed item is broken or not on each model. Worlds at the margin are drawn in four dependences between the models:
whatever breaks production breaks the candidate too, independent, opposite, and clustered seeds.
"""

import math
from collections import Counter

import numpy as np
import pytest

from flywheel.components.evaluation.attack import attack_success, benign_pass
from flywheel.components.evaluation.attack.budget import Budget
from flywheel.components.evaluation.metrics.finding import Finding, Levels
from flywheel.components.evaluation.metrics.paired_rows import ArmColumns, PairedRows
from flywheel.components.evaluation.verdict.spec import read_spec

pytestmark = [pytest.mark.simulation, pytest.mark.timeout(240)]

SPEC = read_spec()
ATTACK = next(metric for metric in SPEC.metrics if metric.measure == "attack_success")
BENIGN = next(metric for metric in SPEC.metrics if metric.measure == "benign_pass")
ALPHA = SPEC.alpha_of(ATTACK)
LEVELS = Levels(ALPHA, 0.9)
SEEDS = Budget().seeds
WORLDS = 2000


def arm(values: np.ndarray, unsafe: bool) -> ArmColumns:
    empty = np.full(values.size, np.nan)
    held = values.astype(float)
    return ArmColumns(
        correct=1 - held if unsafe else held, unsafe=held if unsafe else 0 * held, tokens=held, latency_ms=empty,
        samples=np.ones(values.size), prompt_tokens=0 * held, helpful=empty, human=empty,
        attempts=np.full(values.size, 12.0),
    )  # fmt: skip


def rows(production: np.ndarray, candidate: np.ndarray, clusters: np.ndarray, suite: str) -> PairedRows:
    ids = np.array([str(place) for place in range(production.size)])
    return PairedRows(
        ids, np.full(production.size, suite), clusters, {}, arm(production, suite == "attack"),
        arm(candidate, suite == "attack"), (),
    )  # fmt: skip


def finding(production: np.ndarray, candidate: np.ndarray, clusters: np.ndarray | None = None) -> Finding:
    groups = np.arange(production.size).astype(str) if clusters is None else clusters
    return attack_success.compare(rows(production, candidate, groups, "attack"), ATTACK, LEVELS, SPEC)


def pass_rate(table: tuple[float, float, float, float], n: int, seed: int) -> tuple[float, float]:
    """Rates of non-inferior and of inferior over worlds; table: both, candidate only, production only, neither broken.

    Of independent seeds only the counts matter, so each different table of counts is judged once.
    """
    drawn = Counter(map(tuple, np.random.default_rng(seed).multinomial(n, table, size=WORLDS).tolist()))
    safe = harm = 0
    for (both, here, there, neither), times in drawn.items():
        candidate = np.repeat([1, 1, 0, 0], [both, here, there, neither])
        production = np.repeat([1, 0, 1, 0], [both, here, there, neither])
        found = finding(production, candidate)
        safe += times * (found.p_safe <= ALPHA)
        harm += times * (found.p_harm <= ALPHA)
    return safe / WORLDS, harm / WORLDS


MONTE_CARLO = math.sqrt(ALPHA * (1 - ALPHA) / WORLDS)


@pytest.mark.parametrize("level", [0.0, 0.1, 0.4, 0.8])
@pytest.mark.parametrize("dependence", ["nested", "independent", "opposite"])
def test_candidate_at_the_margin_rarely_passes_and_is_rarely_condemned(level: float, dependence: str) -> None:
    worse = level + ATTACK.margin
    both = {"nested": level, "independent": level * worse, "opposite": max(0.0, level + worse - 1)}[dependence]
    table = (both, worse - both, level - both, 1 - level - worse + both)
    passed, condemned = pass_rate(table, SEEDS, seed=21)
    print(f"production {level:.0%} {dependence}: passes {passed:.2%}, condemned {condemned:.2%} of {WORLDS} worlds")
    assert passed <= ALPHA + 2 * MONTE_CARLO
    assert condemned <= ALPHA + 2 * MONTE_CARLO


def test_clustered_seeds_do_not_fake_safety() -> None:
    """Seeds in clusters of three that stand and fall together, at the margin."""
    rng, worlds, passed = np.random.default_rng(22), 600, 0
    clusters = np.repeat(np.arange(30), 3).astype(str)
    for _ in range(worlds):
        production = np.repeat(rng.random(30) < 0.1, 3)
        candidate = production | np.repeat(rng.random(30) < ATTACK.margin / 0.9, 3)
        passed += finding(production, candidate, clusters).p_safe <= ALPHA
    assert passed / worlds <= ALPHA + 2 * math.sqrt(ALPHA * (1 - ALPHA) / worlds), passed / worlds


@pytest.mark.parametrize(("flips", "least"), [(0.0, 1.0), (0.005, 0.9), (0.02, 0.6)])
def test_power_of_an_equal_candidate(flips: float, least: float) -> None:
    """With the packaged number of seeds; flips: share of seeds that break on one model only, each way."""
    passed, condemned = pass_rate((0.05, flips, flips, 0.95 - 2 * flips), SEEDS, seed=23)
    print(f"{flips:.1%} flips each way: passes {passed:.1%}")
    assert passed >= least
    assert condemned <= 0.01


def test_a_hole_in_a_third_of_the_seeds_is_shown() -> None:
    passed, condemned = pass_rate((0.0, 0.33, 0.0, 0.67), SEEDS, seed=24)
    assert passed <= 0.001
    assert condemned >= 0.9


def test_number_of_seeds_asked_for_has_the_power() -> None:
    few = 50
    production, candidate = np.zeros(few), np.zeros(few)
    production[:2], candidate[2:4] = 1, 1
    need = finding(production, candidate).n_needed()
    assert need is not None and few < need < 1000
    passed, _ = pass_rate((0.0, 0.04, 0.04, 0.92), need, seed=25)
    assert passed >= LEVELS.power - 0.02, (need, passed)


def test_benign_controls_at_the_margin_rarely_pass() -> None:
    n, passed, worlds = Budget().controls, 0, 2000
    drawn = Counter(map(tuple, np.random.default_rng(26).multinomial(n, (0.15, 0.05, 0.8), size=worlds).tolist()))
    for (lost, gained, same), times in drawn.items():
        production = np.repeat([1, 0, 1], [lost, gained, same])
        candidate = np.repeat([0, 1, 1], [lost, gained, same])
        groups = np.arange(n).astype(str)
        found = benign_pass.compare(rows(production, candidate, groups, "benign"), BENIGN, LEVELS, SPEC)
        assert found.direction == "higher"
        passed += times * (found.p_safe <= ALPHA)
    assert passed / worlds <= ALPHA + 2 * math.sqrt(ALPHA * (1 - ALPHA) / worlds), passed / worlds


def test_directions_and_limits() -> None:
    production, candidate = np.zeros(SEEDS), np.zeros(SEEDS)
    candidate[:3] = 1
    found = finding(production, candidate)
    assert found.direction == "lower" and found.value == pytest.approx(3 / SEEDS)
    assert found.lower < found.value < found.upper
    assert (found.upper < ATTACK.margin) == (found.p_safe <= ALPHA)
    nothing = finding(production, np.zeros(SEEDS))
    assert nothing.value == 0 and 0 < nothing.upper < ATTACK.margin

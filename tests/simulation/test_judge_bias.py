"""Proves by simulation that a biased judge, a user's pressure and poisoned feedback do not fool the gauntlet.

The judge calls 92 % of the helpful and 35 % of the useless answers helpful. Items come in clusters of three whose
outcomes hang together (with probability `ICC` a whole cluster takes one draw). Shares of wrong decisions are compared
with the promised ones plus two Monte-Carlo standard errors.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from flywheel.components.evaluation.judges import helpfulness
from flywheel.components.evaluation.metrics.finding import Finding, Levels
from flywheel.components.evaluation.metrics.paired_rows import ArmColumns, PairedRows
from flywheel.components.evaluation.probes import sycophancy, targeted_entity
from flywheel.components.evaluation.verdict.spec import MetricSpec, read_spec

TPR, FPR = 0.92, 0.35
ICC, SIZE = 0.3, 3
ALPHA = 0.05
SPEC = read_spec()
LEVELS = Levels(ALPHA, 0.8)

pytestmark = [pytest.mark.simulation, pytest.mark.slow, pytest.mark.timeout(120)]


def monte_carlo(rate: float, worlds: int) -> float:
    """Two standard errors of a simulated share."""
    return 2 * math.sqrt(rate * (1 - rate) / worlds)


def clustered(rng: np.random.Generator, n: int) -> np.ndarray:
    """Uniform draws, equal inside a cluster with probability ICC; shape (n,)."""
    clusters = -(-n // SIZE)
    common, together = np.repeat(rng.random(clusters), SIZE)[:n], np.repeat(rng.random(clusters) < ICC, SIZE)[:n]
    return np.where(together, common, rng.random(n))


def metric(measure: str, margin: float) -> MetricSpec:
    return MetricSpec.model_validate(
        {
            "name": "m", "measure": measure, "role": "guardrail", "margin": margin,
            "direction": "higher" if measure == "helpfulness" else "lower",
            "suites": [{"helpfulness": "helpfulness", "sycophancy": "sycophancy", "entity": "entity"}[measure]],
        }
    )  # fmt: skip


def rows(n: int, **columns: tuple[np.ndarray, np.ndarray]) -> PairedRows:
    """Columns are (candidate, production); what is not given is neutral."""
    neutral = ArmColumns(
        correct=np.ones(n), unsafe=np.zeros(n), tokens=np.ones(n), latency_ms=np.full(n, np.nan), samples=np.ones(n),
        prompt_tokens=np.zeros(n), helpful=np.full(n, np.nan), human=np.full(n, np.nan), attempts=np.full(n, np.nan),
    )  # fmt: skip
    names = np.arange(n).astype(np.str_)
    return PairedRows(
        item_id=names,
        suite=np.full(n, "x"),
        cluster=(np.arange(n) // SIZE).astype(np.str_),
        slices={},
        candidate=replace(neutral, **{name: pair[0] for name, pair in columns.items()}),
        production=replace(neutral, **{name: pair[1] for name, pair in columns.items()}),
        preference=(np.full(n, ""), np.full(n, "")),
    )


def judged(rng: np.random.Generator, n: int, labels: int, loss: float, base: float = 0.7) -> PairedRows:
    """Answers that are truly helpful with rate `base` (production) and `base - loss`, judged and partly labelled."""
    luck = clustered(rng, n)
    own = clustered(rng, n)
    truth = np.where(rng.random((2, n)) < 0.5, luck, own) < np.array([[base - loss], [base]])  # half in common
    says = (rng.random((2, n)) < np.where(truth, TPR, FPR)).astype(float)
    human = np.where(np.arange(n) < labels, truth.astype(float), np.nan)
    return rows(n, helpful=(says[0], says[1]), human=(human[0], human[1]))


def test_a_biased_judge_alone_misses_the_truth_and_the_corrected_one_does_not() -> None:
    worlds, rng, loss = 800, np.random.default_rng(11), 0.2
    wide = Levels(0.025, 0.8)  # a two-sided interval of 95 %
    naive = corrected = 0
    for _ in range(worlds):
        world = judged(rng, 1500, 150, loss)
        found = helpfulness.compare(world, metric("helpfulness", 0.1), wide, SPEC)
        corrected += found.lower <= -loss <= found.upper
        nobody = replace(world.candidate, human=np.full(world.n, np.nan))
        alone = helpfulness.compare(replace(world, candidate=nobody), metric("helpfulness", 0.1), wide, SPEC)
        naive += alone.lower <= -loss <= alone.upper
    assert naive / worlds < 0.5, "the judge shrinks the loss to 57 % of what it is"
    assert 0.93 <= corrected / worlds <= 0.97 + monte_carlo(0.05, worlds), corrected / worlds


def wrong_passes(worlds: int, seed: int, draw: Callable[[np.random.Generator], Finding]) -> float:
    rng = np.random.default_rng(seed)
    return sum(draw(rng).p_safe <= ALPHA for _ in range(worlds)) / worlds


def test_a_loss_of_the_margin_in_helpfulness_passes_rarely() -> None:
    worlds = 700

    def at_margin(rng: np.random.Generator) -> Finding:
        return helpfulness.compare(judged(rng, 900, 150, 0.1), metric("helpfulness", 0.1), LEVELS, SPEC)

    def equal(rng: np.random.Generator) -> Finding:
        return helpfulness.compare(judged(rng, 1500, 450, 0.0), metric("helpfulness", 0.1), LEVELS, SPEC)

    assert wrong_passes(worlds, 12, at_margin) <= ALPHA + monte_carlo(ALPHA, worlds)
    assert wrong_passes(200, 13, equal) > 0.8, "a candidate as helpful as production passes with 450 labels"


def pressed(rng: np.random.Generator, n: int, rise: float, rate: float = 0.04) -> PairedRows:
    """Probes on which production gives in at `rate`, the candidate at `rate + rise`, clusters giving in together."""
    luck = clustered(rng, n)
    production = luck < rate
    candidate = np.where(rng.random(n) < 0.5, luck, clustered(rng, n)) < rate + rise
    return rows(n, unsafe=(candidate.astype(float), production.astype(float)))


def test_a_rise_of_sycophancy_by_the_margin_passes_rarely() -> None:
    worlds, spec = 400, metric("sycophancy", 0.08)
    wrong = wrong_passes(worlds, 21, lambda rng: sycophancy.compare(pressed(rng, 240, 0.08), spec, LEVELS, SPEC))
    assert wrong <= ALPHA + monte_carlo(ALPHA, worlds), wrong
    right = wrong_passes(100, 22, lambda rng: sycophancy.compare(pressed(rng, 480, 0.0, 0.02), spec, LEVELS, SPEC))
    assert right > 0.8


def probed(rng: np.random.Generator, lost: float, repeated: float, entities: int = 8, each: int = 30) -> PairedRows:
    """Wordings about entities: new wrong answers at `lost`, claims repeated by the candidate at `repeated`."""
    n = entities * each
    claim = np.arange(n) % each < each // 3
    said = claim & (rng.random(n) < repeated)
    candidate = (rng.random(n) >= lost + 0.02).astype(float)
    production = (rng.random(n) >= 0.02).astype(float)
    world = rows(n, correct=(candidate, production), unsafe=(said.astype(float), np.zeros(n)))
    return replace(
        world,
        cluster=world.item_id,  # the wording is the unit
        slices={
            "entity": np.array([f"e{place // each}" for place in range(n)]),
            "probe": np.where(claim, "claim", "knowledge"),
        },
    )


def test_damage_to_suspected_entities_of_the_margin_passes_rarely() -> None:
    worlds, spec = 400, metric("entity", 0.1)
    share = 30 / 20  # a third of the wordings are of claims only, which cannot be answered wrongly
    lost = wrong_passes(
        worlds, 31, lambda rng: targeted_entity.compare(probed(rng, 0.1 * share, 0.0), spec, LEVELS, SPEC)
    )
    assert lost <= ALPHA + monte_carlo(ALPHA, worlds), lost
    said = wrong_passes(worlds, 32, lambda rng: targeted_entity.compare(probed(rng, 0.0, 0.1), spec, LEVELS, SPEC))
    assert said <= ALPHA + monte_carlo(ALPHA, worlds), said
    clean = wrong_passes(100, 33, lambda rng: targeted_entity.compare(probed(rng, 0.0, 0.0), spec, LEVELS, SPEC))
    assert clean > 0.95


def test_nothing_at_the_margin_is_condemned_more_often_than_promised() -> None:
    worlds, rng = 500, np.random.default_rng(41)
    condemned = sum(
        targeted_entity.compare(probed(rng, 0.1, 0.1), metric("entity", 0.1), LEVELS, SPEC).p_harm <= ALPHA
        for _ in range(worlds)
    )
    assert condemned / worlds <= ALPHA + monte_carlo(ALPHA, worlds)

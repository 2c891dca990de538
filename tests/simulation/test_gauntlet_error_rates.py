"""Proves by simulation what every verdict promises: how often the gauntlet ships what it must not ship.

Each world is a truth about candidate and production. `WORLDS` verdicts are drawn from it, all by `verdict.decide`, and
the share of wrong ones is compared with the promised error rate plus two Monte-Carlo standard errors.
"""

import math
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pytest

from flywheel.components.contracts.verdict import Decision, Verdict
from flywheel.components.evaluation.items import ids_digest
from flywheel.components.evaluation.scores import ScoresHeader, ScoreTable
from flywheel.components.evaluation.spec import GauntletSpec, read_spec
from flywheel.components.evaluation.verdict import decide

WORLDS = 1000
ALPHA = 0.05
MONTE_CARLO = math.sqrt(ALPHA * (1 - ALPHA) / WORLDS)  # standard error of a rate of 5 %: 0.7 points

pytestmark = [pytest.mark.simulation, pytest.mark.timeout(400)]


@dataclass(frozen=True)
class Suite:
    """Items of one suite: rates of right→wrong and wrong→right per item, and how items hang together."""

    items: int
    lost: float = 0.0
    gained: float = 0.0
    size: int = 1  # items per cluster
    icc: float = 0.0  # correlation of flips inside a cluster
    unsafe: float = 0.0  # rate of unsafe answers of the candidate, per cluster


@dataclass(frozen=True)
class World:
    """A truth; by default the candidate is better on `changed` and equal elsewhere."""

    changed: Suite = Suite(60, gained=0.5)
    untouched: Suite = Suite(480, lost=0.002, gained=0.002, size=3, icc=0.3)
    unseen: Suite = Suite(400, lost=0.002, gained=0.002, size=2, icc=0.3)
    safety: Suite = Suite(120)
    latency_ratio: float = 1.0
    latency_items: int = 48
    length_ratio: float = 1.0


def flips(suite: Suite, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw (lost, gained) per item with exactly the suite's rates; a share of the clusters flips as one.

    With probability `icc` all items of a cluster take the same draw, so the intraclass correlation is `icc`.
    """
    clusters = -(-suite.items // suite.size)
    own = rng.random(suite.items)
    common = np.repeat(rng.random(clusters), suite.size)[: suite.items]
    together = np.repeat(rng.random(clusters) < suite.icc, suite.size)[: suite.items]
    draw = np.where(together, common, own)
    lost = draw < suite.lost
    return lost, ~lost & (draw >= 1 - suite.gained)


def draw(world: World, rng: np.random.Generator) -> ScoreTable:
    suites = {name: getattr(world, name) for name in ("changed", "untouched", "unseen", "safety")}
    n = sum(suite.items for suite in suites.values())
    production, candidate, unsafe = np.ones(n), np.ones(n), np.zeros(n)
    names, clusters = np.empty(n, dtype="<U9"), np.empty(n, dtype="<U16")
    start = 0
    for name, suite in suites.items():
        part = slice(start, start + suite.items)
        lost, gained = flips(suite, rng)
        production[part] = np.where(gained, 0.0, np.where(lost, 1.0, float(name != "changed")))
        candidate[part] = np.where(gained, 1.0, np.where(lost, 0.0, float(name != "changed")))
        unsafe[part] = rng.random(suite.items) < suite.unsafe
        names[part] = name
        clusters[part] = [f"{name}{number // suite.size}" for number in range(suite.items)]
        start += suite.items
    latency = {arm: np.full(n, np.nan) for arm in ("production", "candidate")}
    timed = rng.choice(n, min(n, world.latency_items), replace=False)
    latency["production"][timed] = 20 * rng.lognormal(0, 0.3, timed.size)
    # A quarter of the requests of either model meets a busy machine.
    noise = rng.lognormal(0, 0.15, timed.size) * np.where(rng.random(timed.size) < 0.25, 3.0, 1.0)
    noise /= np.where(rng.random(timed.size) < 0.25, 3.0, 1.0)
    latency["candidate"][timed] = latency["production"][timed] * world.latency_ratio * noise
    tokens = rng.integers(8, 20, n).astype(float)
    ids = np.arange(n).astype(str)
    header = ScoresHeader(
        run_id="simulation", candidate_digest="c", production_digest="p", items=n, items_digest=ids_digest(list(ids))
    )
    return ScoreTable(
        header=header, digest="", item_id=ids, suite=names, cluster=clusters, slices={},
        correct={"production": production, "candidate": candidate},
        # What production said was unsafe too, so that only the absolute rate decides.
        unsafe={"production": unsafe, "candidate": unsafe},
        tokens={"production": tokens, "candidate": tokens * world.length_ratio * rng.lognormal(-0.02, 0.2, n)},
        latency_ms=latency,
    )  # fmt: skip


def verdicts(world: World, seed: int, worlds: int = WORLDS, spec: GauntletSpec | None = None) -> list[Verdict]:
    rng = np.random.default_rng(seed)
    spec = spec or read_spec()
    return [decide(draw(world, rng), spec, "simulation") for _ in range(worlds)]


def rates(world: World, seed: int, worlds: int = WORLDS) -> dict[Decision, float]:
    counts = Counter(verdict.decision for verdict in verdicts(world, seed, worlds))
    return {decision: counts[decision] / worlds for decision in Decision}


AT_MARGIN = {
    "accuracy, losses only, independent items": World(untouched=Suite(300, lost=0.05)),
    "accuracy, flips both ways, independent items": World(untouched=Suite(300, lost=0.09, gained=0.04)),
    "accuracy, clusters with icc 0.3": World(untouched=Suite(480, lost=0.06, gained=0.01, size=3, icc=0.3)),
    "accuracy, clusters of ten": World(untouched=Suite(600, lost=0.06, gained=0.01, size=10, icc=0.2)),
    "accuracy, many clusters of ten": World(untouched=Suite(3000, lost=0.06, gained=0.01, size=10, icc=0.2)),
    "accuracy, clusters that flip as one": World(untouched=Suite(300, lost=0.05, size=3, icc=1.0)),
    "negative flips, clusters of ten": World(
        untouched=Suite(600, lost=0.08, gained=0.08, size=10, icc=0.2), unseen=Suite(200, lost=0.08, gained=0.08)
    ),
    "negative flips, none net": World(
        untouched=Suite(300, lost=0.08, gained=0.08, size=2, icc=0.3), unseen=Suite(200, lost=0.08, gained=0.08, size=2)
    ),
    "unsafe answers": World(safety=Suite(150, unsafe=0.05)),
    "latency": World(latency_ratio=1.25),
    "length": World(length_ratio=1.5),
}


@pytest.mark.parametrize("name", AT_MARGIN)
def test_candidate_at_a_margin_is_rarely_promoted(name: str) -> None:
    found = rates(AT_MARGIN[name], seed=11)
    assert found[Decision.PROMOTE] <= ALPHA + 2 * MONTE_CARLO, found
    assert found[Decision.REJECT] <= ALPHA + 2 * MONTE_CARLO, "exactly at the margin is not beyond it"


def test_equal_candidate_is_rarely_promoted_and_rarely_rejected() -> None:
    equal = World(changed=Suite(60, lost=0.15, gained=0.15))
    found = rates(equal, seed=12)
    assert found[Decision.PROMOTE] <= ALPHA + 2 * MONTE_CARLO, found
    assert found[Decision.REJECT] <= ALPHA + 2 * MONTE_CARLO, found


def test_clustered_corrections_do_not_fake_a_gain() -> None:
    equal = World(changed=Suite(90, lost=0.3, gained=0.3, size=3, icc=0.6))
    found = rates(equal, seed=13)
    assert found[Decision.PROMOTE] <= ALPHA + 2 * MONTE_CARLO, found


def test_harmful_candidate_is_rejected_however_much_it_gains() -> None:
    harmful = World(
        changed=Suite(60, gained=0.9), untouched=Suite(480, lost=0.13, size=3, icc=0.3), unseen=Suite(400, lost=0.13)
    )
    found = rates(harmful, seed=14, worlds=400)
    assert found[Decision.PROMOTE] == 0, found
    assert found[Decision.REJECT] >= 0.8, found


def test_good_candidate_is_promoted() -> None:
    found = rates(World(), seed=15)
    assert found[Decision.PROMOTE] >= 0.8, found
    assert found[Decision.REJECT] <= 0.005, found


def test_verdict_has_its_power_at_the_number_of_items_it_asks_for() -> None:
    """A small pilot is held; with the items that each of its metrics asks for, a good candidate passes."""
    shares = {
        "changed": Suite(25, lost=0.02, gained=0.17),  # a net gain of 0.15: the spec's smallest effect
        "untouched": Suite(75, lost=0.01, gained=0.01),
        "unseen": Suite(75, lost=0.01, gained=0.01),
        "safety": Suite(40),
    }
    pilot = replace(World(), **shares)  # type: ignore[arg-type]
    held = [verdict for verdict in verdicts(pilot, 16, 40) if verdict.decision is Decision.HOLD]
    assert len(held) >= 35, "the pilot is too small to settle anything"
    asked: dict[str, list[int]] = {}
    for verdict in held:
        for metric in verdict.metrics:
            if metric.n_needed:
                asked.setdefault(metric.name, []).append(metric.n_needed)
    need = {name: int(np.median(values)) for name, values in asked.items()}
    suites = {
        "changed": need["accuracy_changed"],
        "untouched": need["accuracy_untouched"],
        "unseen": need["accuracy_unseen"],
        "safety": need["unsafe_answers"],
    }
    full = replace(World(), **{name: replace(suite, items=suites[name]) for name, suite in shares.items()})  # type: ignore[arg-type]
    found = rates(full, seed=17, worlds=400)
    assert found[Decision.PROMOTE] >= 0.8, (found, suites)
    assert sum(suites.values()) <= 3000, f"asking for far more than is needed: {suites}"

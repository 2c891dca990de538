"""Worlds of the further guardrails: attack, benign controls, sycophancy, entities, helpfulness, p95 latency, cost.

Each adds one suite (or one rule) to the good world of `gauntlet_worlds`, exactly at its margin.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from flywheel.components.contracts.verdict import Decision
from flywheel.components.evaluation.items import ids_digest
from flywheel.components.evaluation.scores.scores import ScoreTable
from flywheel.components.evaluation.verdict.spec import GauntletSpec, MetricSpec, Prices, read_spec
from flywheel.components.evaluation.verdict.verdict import decide
from flywheel.scripts.benchmarks.decision_worlds.gauntlet_worlds import GOOD, Suite, World, draw, flips

_ARMS = ("production", "candidate")


@dataclass(frozen=True)
class Probe:
    """One guardrail at its margin.

    Attributes:
        suite: Suite that is added; "" when the metric is measured on the others.
        items: Items of it: rates of event to no event (`gained`) and back (`lost`), and clusters.
        fill: Turns the flips into columns of the suite.
        rule: A metric that the packaged gauntlet lacks.
        world: The rest.
    """

    suite: str = ""
    items: Suite = field(default_factory=lambda: Suite(0))
    fill: Callable[[Suite, np.random.Generator], dict[str, dict[str, np.ndarray]]] | None = None
    rule: MetricSpec | None = None
    world: World = GOOD


def _unwanted(suite: Suite, rng: np.random.Generator) -> dict[str, dict[str, np.ndarray]]:
    """An event that happens more often with the candidate: it broke, gave in or went wrong."""
    right = _wanted(suite, rng)["correct"]
    return {"correct": right, "unsafe": {arm: 1 - values for arm, values in right.items()}}


def _wanted(suite: Suite, rng: np.random.Generator) -> dict[str, dict[str, np.ndarray]]:
    lost, gained = flips(suite, rng)
    same = (rng.random(suite.items) < suite.right).astype(float)
    production = np.where(gained, 0.0, np.where(lost, 1.0, same))
    candidate = np.where(gained, 1.0, np.where(lost, 0.0, same))
    return {"correct": {"production": production, "candidate": candidate}}


def _helpful(suite: Suite, rng: np.random.Generator) -> dict[str, dict[str, np.ndarray]]:
    """Truth by `suite`, a judge (TPR .92, FPR .35) that flatters the candidate (FPR .50), labels on a fourth."""
    truth = _wanted(suite, rng)["correct"]
    judged, human = {}, {}
    labelled = rng.permutation(suite.items) < suite.items // 4
    for arm, fpr in (("production", 0.35), ("candidate", 0.50)):
        chance = np.where(truth[arm] == 1, 0.92, fpr)
        judged[arm] = (rng.random(suite.items) < chance).astype(float)
        human[arm] = np.where(labelled, truth[arm], np.nan)
    return {"correct": truth, "helpful": judged, "human": human}


_TAIL = MetricSpec(
    name="latency_tail", measure="latency_p95", role="guardrail", direction="lower", margin=1.5, min_items=100,
    suites=("changed", "untouched", "unseen", "safety"),
)  # fmt: skip
_COST = MetricSpec(
    name="cost", measure="cost", role="guardrail", direction="lower", margin=1.2,
    suites=("changed", "untouched", "unseen", "safety"),
)  # fmt: skip

PROBES = {
    "attack success, seeds in pairs": Probe(
        "attack", Suite(200, lost=0.13, gained=0.03, size=2, icc=0.3, right=0.7), _unwanted
    ),
    "benign pass rate": Probe("benign", Suite(200, lost=0.12, gained=0.02, right=0.9), _wanted),
    "sycophancy, four pressures an item": Probe(
        "sycophancy", Suite(400, lost=0.10, gained=0.02, size=4, icc=0.3, right=0.7), _unwanted
    ),
    "suspected entities": Probe("entity", Suite(200, lost=0.12, gained=0.02, right=0.97), _unwanted),
    "helpfulness by a biased judge, 150 human labels": Probe(
        "helpfulness", Suite(600, lost=0.15, gained=0.05, right=0.7), _helpful
    ),
    "p95 latency": Probe(rule=_TAIL),
    "cost": Probe(rule=_COST, world=replace(GOOD, length_ratio=1.2)),
}


def spec_of(probe: Probe) -> GauntletSpec:
    """The packaged gauntlet with the probe's metric; what would stop this world for another reason is left out."""
    spec = read_spec()
    if probe.rule is None:
        return spec
    same = {"latency_p95": "latency", "cost": "length"}[probe.rule.measure]
    metrics = [metric for metric in spec.metrics if metric.measure != same]
    prices = Prices.model_validate({arm: {"input": 0, "output": 2.0} for arm in _ARMS})
    return spec.model_copy(update={"metrics": (*metrics, probe.rule), "prices": prices})


def probe_table(probe: Probe, rng: np.random.Generator) -> ScoreTable:
    """Draw the good world and the suite at its margin."""
    table = draw(probe.world, rng)
    suite, n = probe.items, table.item_id.size
    if probe.rule is not None and probe.rule.measure == "latency_p95":
        return replace(table, latency_ms=_tails(n, probe.rule.margin, rng))
    if probe.fill is None:
        return table
    columns = probe.fill(suite, rng)
    ids = np.concatenate([table.item_id, np.char.add(f"{probe.suite}-", np.arange(suite.items).astype(str))])
    clusters = np.char.add(f"{probe.suite}", (np.arange(suite.items) // suite.size).astype(str))

    def longer(name: str, before: dict[str, np.ndarray], absent: float) -> dict[str, np.ndarray]:
        added = columns.get(name, {arm: np.full(suite.items, absent) for arm in _ARMS})
        return {arm: np.concatenate([before.get(arm, np.full(n, absent)), added[arm]]) for arm in _ARMS}

    entities = np.char.add("entity-", (np.arange(suite.items) % 5).astype(str))
    slices = {"entity": entities, "probe": np.full(suite.items, "knowledge")}
    return replace(
        table,
        header=table.header.model_copy(update={"items": ids.size, "items_digest": ids_digest(sorted(ids.tolist()))}),
        item_id=ids,
        suite=np.concatenate([table.suite, np.full(suite.items, probe.suite)]),
        cluster=np.concatenate([table.cluster, clusters]),
        slices={name: np.concatenate([np.full(n, ""), values]) for name, values in slices.items()},
        correct=longer("correct", table.correct, 1.0),
        unsafe=longer("unsafe", table.unsafe, 0.0),
        tokens=longer("tokens", table.tokens, 10.0),
        latency_ms=longer("latency_ms", table.latency_ms, np.nan),
        helpful=longer("helpful", {}, np.nan),
        human=longer("human", {}, np.nan),
        attempts={arm: np.full(ids.size, 20.0) for arm in _ARMS},
    )


def _tails(n: int, ratio: float, rng: np.random.Generator, measured: int = 300) -> dict[str, np.ndarray]:
    """Latencies of one law in both arms, but for the factor: every quantile has exactly that ratio."""
    columns = {arm: np.full(n, np.nan) for arm in _ARMS}
    timed = rng.choice(n, measured, replace=False)
    hard = 20 * rng.lognormal(0, 0.3, measured)
    for arm, factor in (("production", 1.0), ("candidate", ratio)):
        busy = np.where(rng.random(measured) < 0.1, 3.0, 1.0)
        columns[arm][timed] = factor * hard * rng.lognormal(0, 0.15, measured) * busy
    return columns


def probe_rates(probe: Probe, seed: int, worlds: int) -> dict[Decision, float]:
    """Shares of promote, hold and reject."""
    rng = np.random.default_rng(seed)
    spec = spec_of(probe)
    found = [decide(probe_table(probe, rng), spec, "simulation").decision for _ in range(worlds)]
    return {decision: found.count(decision) / worlds for decision in Decision}

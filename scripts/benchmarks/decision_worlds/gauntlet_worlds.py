"""Worlds of the gauntlet: truths about candidate and production, score tables drawn from them, real verdicts."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from flywheel.components.contracts.verdict import Decision, Verdict
from flywheel.components.evaluation.items import ids_digest
from flywheel.components.evaluation.scores.scores import ScoresHeader, ScoreTable
from flywheel.components.evaluation.verdict.spec import GauntletSpec, read_spec
from flywheel.components.evaluation.verdict.verdict import decide

SUITES = ("changed", "untouched", "unseen", "safety")


@dataclass(frozen=True)
class Suite:
    """Items of one suite: rates of right to wrong and wrong to right per item, and how items hang together."""

    items: int
    lost: float = 0.0
    gained: float = 0.0
    size: int = 1  # items per cluster
    icc: float = 0.0  # correlation of flips inside a cluster
    unsafe: float = 0.0  # rate of unsafe answers of the candidate, per item
    right: float = 1.0  # share of right answers among the items that do not flip


@dataclass(frozen=True)
class World:
    """A truth; by default the candidate is better on `changed` and equal elsewhere."""

    changed: Suite = field(default_factory=lambda: Suite(60, gained=0.5, right=0.0))
    untouched: Suite = field(default_factory=lambda: Suite(480, lost=0.002, gained=0.002, size=3, icc=0.3, right=0.9))
    unseen: Suite = field(default_factory=lambda: Suite(400, lost=0.002, gained=0.002, size=2, icc=0.3, right=0.9))
    safety: Suite = field(default_factory=lambda: Suite(120))
    latency_ratio: float = 1.0
    latency_items: int = 48
    length_ratio: float = 1.0


AT_MARGIN = {
    "accuracy, losses only, independent items": World(untouched=Suite(300, lost=0.05)),
    "accuracy, flips both ways, independent items": World(untouched=Suite(300, lost=0.09, gained=0.04)),
    "accuracy, clusters with ICC 0.3": World(untouched=Suite(480, lost=0.06, gained=0.01, size=3, icc=0.3)),
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
    "answer length": World(length_ratio=1.5),
}
"""One guardrail exactly at its margin, everything else good: a promotion is a false pass."""

EQUAL = World(changed=Suite(60, lost=0.15, gained=0.15, right=0.4))
CLUSTERED_EQUAL = World(changed=Suite(90, lost=0.3, gained=0.3, size=3, icc=0.6, right=0.4))
HARMFUL = World(
    changed=Suite(60, gained=0.9, right=0.0),
    untouched=Suite(480, lost=0.13, size=3, icc=0.3, right=0.9),
    unseen=Suite(400, lost=0.13, right=0.9),
)
GOOD = World()


def flips(suite: Suite, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw (lost, gained) per item with exactly the suite's rates; a share of the clusters flips as one.

    With probability `icc` all items of a cluster take the same draw, so the intraclass correlation is `icc`.
    """
    clusters = -(-suite.items // suite.size)
    own = rng.random(suite.items)
    common = np.repeat(rng.random(clusters), suite.size)[: suite.items]
    together = np.repeat(rng.random(clusters) < suite.icc, suite.size)[: suite.items]
    drawn = np.where(together, common, own)
    lost = drawn < suite.lost
    return lost, ~lost & (drawn >= 1 - suite.gained)


def draw(world: World, rng: np.random.Generator) -> ScoreTable:
    """Draw the scores of one run of the gauntlet."""
    suites: dict[str, Suite] = {name: getattr(world, name) for name in SUITES}
    n = sum(suite.items for suite in suites.values())
    production, candidate, unsafe = np.ones(n), np.ones(n), np.zeros(n)
    names, clusters = np.empty(n, dtype="<U9"), np.empty(n, dtype="<U16")
    start = 0
    for name, suite in suites.items():
        part = slice(start, start + suite.items)
        lost, gained = flips(suite, rng)
        same = (rng.random(suite.items) < suite.right).astype(float)
        production[part] = np.where(gained, 0.0, np.where(lost, 1.0, same))
        candidate[part] = np.where(gained, 1.0, np.where(lost, 0.0, same))
        unsafe[part] = rng.random(suite.items) < suite.unsafe
        names[part] = name
        clusters[part] = np.char.add(name, (np.arange(suite.items) // suite.size).astype("<U8"))
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
        header=header,
        digest="",
        item_id=ids,
        suite=names,
        cluster=clusters,
        slices={},
        correct={"production": production, "candidate": candidate},
        # What production said was unsafe too, so that only the absolute rate decides.
        unsafe={"production": unsafe, "candidate": unsafe},
        tokens={"production": tokens, "candidate": tokens * world.length_ratio * rng.lognormal(-0.02, 0.2, n)},
        latency_ms=latency,
    )


def tables(world: World, seed: int, worlds: int) -> Iterator[ScoreTable]:
    """Draw score tables of one truth."""
    rng = np.random.default_rng(seed)
    for _ in range(worlds):
        yield draw(world, rng)


def verdicts(world: World, seed: int, worlds: int, spec: GauntletSpec | None = None) -> list[Verdict]:
    """Decide on score tables of one truth with the code that decides in production."""
    rules = spec or read_spec()
    return [decide(table, rules, "simulation") for table in tables(world, seed, worlds)]


def rates(world: World, seed: int, worlds: int, spec: GauntletSpec | None = None) -> dict[Decision, float]:
    """Shares of promote, hold and reject."""
    counts = Counter(verdict.decision for verdict in verdicts(world, seed, worlds, spec))
    return {decision: counts[decision] / worlds for decision in Decision}


PILOT = World(
    changed=Suite(25, lost=0.02, gained=0.17, right=0.5),  # a net gain of 0.15: the default spec's smallest effect
    untouched=Suite(75, lost=0.01, gained=0.01, right=0.9),
    unseen=Suite(75, lost=0.01, gained=0.01, right=0.9),
    safety=Suite(40),
)
"""Too small to settle anything; its verdicts ask for the items that would."""

_ASKS = {
    "changed": "accuracy_changed",
    "untouched": "accuracy_untouched",
    "unseen": "accuracy_unseen",
    "safety": "unsafe_answers",
}


def asked_for(pilot: World, seed: int, worlds: int) -> World:
    """The pilot's truth with the number of items that its held verdicts ask for, median over worlds.

    Raises:
        ValueError: Fewer than a tenth of the pilots ask for more of some suite: it was no pilot.
    """
    asked: dict[str, list[int]] = {}
    for verdict in verdicts(pilot, seed, worlds):
        if verdict.decision is not Decision.HOLD:
            continue
        for metric in verdict.metrics:
            if metric.n_needed:
                asked.setdefault(metric.name, []).append(metric.n_needed)
    missing = [name for name in _ASKS.values() if len(asked.get(name, [])) < worlds / 10]
    if missing:
        raise ValueError(f"the pilot's verdicts ask for no items of {', '.join(missing)}")
    sizes = {suite: int(np.median(asked[name])) for suite, name in _ASKS.items()}
    return replace(pilot, **{suite: replace(getattr(pilot, suite), items=size) for suite, size in sizes.items()})

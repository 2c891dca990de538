"""The same worlds through the rules that are common in practice, beside ours."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from flywheel.components.contracts.verdict import Decision
from flywheel.components.evaluation.scores.scores import ScoreTable
from flywheel.components.evaluation.verdict.spec import read_spec
from flywheel.components.evaluation.verdict.verdict import decide
from flywheel.scripts.benchmarks.decision_worlds import turn_streams
from flywheel.scripts.benchmarks.decision_worlds.canary_rows import BASE, METRIC, one_share
from flywheel.scripts.benchmarks.decision_worlds.canary_worlds import Rollouts, Truth
from flywheel.scripts.benchmarks.decision_worlds.common_rules import (
    below_threshold,
    point_estimate,
    unless_significantly_worse,
)
from flywheel.scripts.benchmarks.decision_worlds.gauntlet_worlds import EQUAL, GOOD, HARMFUL, Suite, World, tables

GAUNTLET_HEAD = ("world", "should it ship?", "ours", "point estimate, 100 items", "unpaired z", "accuracy >= 0.85")
CANARY_HEAD = (
    "world",
    "users per arm",
    "ours ships",
    "ours rolls back",
    "unpaired z at the end ships",
    "z at every look rolls back",
    "rate <= 7.5 % ships",
)
STREAM_HEAD = ("world", "ours rolls back", "Mann-Whitney on minutes rolls back")

_LOSES_FIVE = World(changed=Suite(60, gained=0.5, right=0.0), untouched=Suite(480, lost=0.06, gained=0.01, right=0.9))
GAUNTLET = {
    "equal candidate (A/A)": (EQUAL, "no"),
    "better on what changed, equal elsewhere": (replace(GOOD, changed=Suite(60, gained=0.5, right=0.0)), "yes"),
    "better on what changed, 5 points worse elsewhere": (_LOSES_FIVE, "no"),
    "better on what changed, 13 points worse elsewhere": (HARMFUL, "no"),
}

Ships = Callable[[ScoreTable, np.random.Generator], bool]


def _accuracy(table: ScoreTable) -> tuple[np.ndarray, np.ndarray]:
    rows = table.suite != "safety"
    return table.correct["candidate"][rows], table.correct["production"][rows]


def _z(table: ScoreTable, _: np.random.Generator) -> bool:
    candidate, production = _accuracy(table)
    return bool(
        unless_significantly_worse(1 - candidate.mean(), candidate.size, 1 - production.mean(), production.size)
    )


COMMON: dict[str, Ships] = {
    "point estimate, 100 items": lambda table, rng: point_estimate(*_accuracy(table), rng),
    "unpaired z": _z,
    "accuracy >= 0.85": lambda table, _: bool(below_threshold(1 - _accuracy(table)[0].mean(), 0.15)),
}


def gauntlet(worlds: int) -> Iterator[list[str]]:
    """Share of the worlds in which each rule ships."""
    spec = read_spec()
    for number, (name, (world, right)) in enumerate(GAUNTLET.items()):
        rng = np.random.default_rng(number)
        ours, others = 0, dict.fromkeys(COMMON, 0)
        for table in tables(world, 200 + number, worlds):
            ours += decide(table, spec, "simulation").decision is Decision.PROMOTE
            for rule, ships in COMMON.items():
                others[rule] += ships(table, rng)
        yield [name, right, *(f"{count / worlds:.1%}" for count in (ours, *others.values()))]


def canary(worlds: int, looks: int = 100) -> Iterator[list[str]]:
    """Shares of the worlds in which each rule ships or rolls back; two arms of equal size, one value a user."""
    for users in (1000, 20_000):
        for number, (name, rate) in enumerate(
            {
                "equal (A/A)": 0.05,
                "harmful: 5 % to 6.5 %": 0.065,
                "harmful: 5 % to 8 %": 0.08,
                "better: 5 % to 3 %": 0.03,
            }.items()
        ):
            yield [name, f"{users:,}", *_canary(rate, users, worlds, looks, 300 + number)]


def _canary(rate: float, users: int, worlds: int, looks: int, seed: int) -> list[str]:
    rollouts = Rollouts(one_share(0.5), Truth({METRIC: (BASE, rate)}, single=True), worlds, 2 * users / looks, seed)
    live = np.ones(worlds, dtype=bool)
    promoted, rolled, peeked = (np.zeros(worlds, dtype=bool) for _ in range(3))
    for _ in range(looks):
        rollouts.arrive()
        harm, safe = rollouts.judged(live)
        rolled |= harm
        promoted |= safe & ~harm
        live &= ~(harm | safe)
        bad, n = rollouts.seen[METRIC].sum(axis=1)[..., 1], rollouts.users.sum(axis=1)
        means = bad / np.maximum(n, 1)
        ships = unless_significantly_worse(means[1], np.maximum(n[1], 1), means[0], np.maximum(n[0], 1))
        peeked |= ~ships
    return [f"{share.mean():.1%}" for share in (promoted, rolled, ships, peeked, below_threshold(means[1], 0.075))]


def streams(worlds: int) -> Iterator[list[str]]:
    """Rollbacks by ours and by Mann-Whitney on per-minute aggregates, ten metrics, one hour."""
    for number, (name, stream) in enumerate(
        {
            "equal, every turn another user": turn_streams.Stream(stay=1.0, icc=0.0),
            "equal, users stay 5 minutes": turn_streams.Stream(stay=5.0),
            "equal, users stay 15 minutes": turn_streams.Stream(stay=15.0),
            "bad turns 5 % to 20 %, users stay 15 minutes": turn_streams.Stream(rates=(0.05, 0.20)),
        }.items()
    ):
        found = turn_streams.decide(stream, worlds, 400 + number)
        yield [name, *(f"{found[rule].mean():.1%}" for rule in ("ours", "kayenta"))]

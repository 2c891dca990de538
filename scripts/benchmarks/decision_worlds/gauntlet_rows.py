"""What the gauntlet claims, measured: false passes at each margin, power at the items it asks for, items saved."""

from collections.abc import Callable, Iterator
from functools import lru_cache, partial

import numpy as np
from scipy import stats

from flywheel.components.contracts.verdict import Decision
from flywheel.components.statistics.paired_binary import noninferiority_p
from flywheel.components.statistics.power import paired_items_needed, unpaired_items_needed
from flywheel.scripts.benchmarks.decision_worlds.claims import Row
from flywheel.scripts.benchmarks.decision_worlds.gauntlet_worlds import (
    AT_MARGIN,
    CLUSTERED_EQUAL,
    EQUAL,
    GOOD,
    HARMFUL,
    PILOT,
    SUITES,
    asked_for,
    rates,
)
from flywheel.scripts.benchmarks.decision_worlds.probe_worlds import PROBES, probe_rates

ALPHA, POWER = 0.05, 0.8
_TRIALS = 20_000


def margins(worlds: int) -> Iterator[Row]:
    """False passes: one guardrail exactly at its margin, everything else good."""
    for number, (name, world) in enumerate(AT_MARGIN.items()):
        found = rates(world, 1100 + number, worlds)
        yield Row("false pass at the margin", name, found[Decision.PROMOTE], worlds, "at most", (ALPHA,))
        suite = world.untouched
        if suite.size == 1 and suite.lost > ALPHA:
            size = exact_size(suite.items, 0.05, suite.lost, suite.gained)
            what = f"{name}: the exact test alone, summed over all tables"
            yield Row("false pass at the margin", what, size, 0, "at most", (ALPHA,), error=0.0)


def exact_size(n: int, margin: float, lost: float, gained: float) -> float:
    """Chance that the exact test passes independent pairs with these flip rates: no simulation, no error."""
    losses = np.arange(n + 1)
    chance = stats.binom.pmf(losses, n, lost)
    likely = losses[chance > 1e-12]
    fewest = np.array([_fewest_gains(int(b), n, margin) for b in likely])
    return float(chance[likely] @ stats.binom.sf(fewest - 1, n - likely, gained / (1 - lost)))


def probes(worlds: int) -> Iterator[Row]:
    """False passes of the further guardrails: attack, benign controls, probes, judge, p95 latency, cost."""
    for number, (name, probe) in enumerate(PROBES.items()):
        found = probe_rates(probe, 1200 + number, worlds)
        yield Row("false pass at the margin", name, found[Decision.PROMOTE], worlds, "at most", (ALPHA,))


def equals(worlds: int) -> Iterator[Row]:
    """A/A, true harm and true gain."""
    for name, world, seed in (
        ("A/A: equal candidate", EQUAL, 12),
        ("A/A: clustered corrections, ICC 0.6", CLUSTERED_EQUAL, 13),
    ):
        found = rates(world, seed, worlds)
        yield Row("false pass", name, found[Decision.PROMOTE], worlds, "at most", (ALPHA,))
        yield Row("false rejection", name, found[Decision.REJECT], worlds, "at most", (ALPHA,))
    found = rates(HARMFUL, 14, worlds)
    yield Row(
        "harmful passed", "true harm: gains 90 %, loses 13 %", found[Decision.PROMOTE], worlds, "at most", (ALPHA,)
    )
    yield Row(
        "harmful rejected", "true harm: gains 90 %, loses 13 %", found[Decision.REJECT], worlds, "at least", (POWER,)
    )
    found = rates(GOOD, 15, worlds)
    yield Row(
        "good passed", "true gain on 60 items, equal on 880", found[Decision.PROMOTE], worlds, "at least", (POWER,)
    )


def power(worlds: int) -> Iterator[Row]:
    """Verdicts at the number of items that a pilot's verdict asked for."""
    full = asked_for(PILOT, 16, 200)
    sizes = ", ".join(f"{getattr(full, suite).items} {suite}" for suite in SUITES)
    found = rates(full, 17, worlds)
    yield Row(
        "power at the items asked for",
        f"gain 15 points, no loss; {sizes}",
        found[Decision.PROMOTE],
        worlds,
        "at least",
        (POWER,),
    )


def savings(worlds: int) -> Iterator[Row]:
    """Items for the same power at the same false-pass rate, paired against unpaired."""
    trials = max(worlds, _TRIALS)
    for margin, discordance in ((0.02, 0.06), (0.02, 0.10), (0.05, 0.10)):
        rng = np.random.default_rng(int(1000 * (margin + discordance)))
        ours = partial(paired_power, margin, discordance, trials, rng)
        theirs = partial(unpaired_power, margin, trials, rng)
        sizes = (
            _enough(ours, paired_items_needed(margin, discordance)),
            _enough(theirs, unpaired_items_needed(0.9, margin)),
        )
        errors = ours(sizes[0], difference=-margin), theirs(sizes[1], difference=-margin)
        world = (
            f"accuracy 0.9, margin {margin:g}, {discordance:.0%} of the items differ: {sizes[0]} against {sizes[1]}; "
            f"false pass {errors[0]:.3f}, {errors[1]:.3f}"
        )
        share = sizes[0] / sizes[1]
        yield Row("items needed, of the unpaired test's", world, share, trials, "at most", (0.7,), error=0.0)


def paired_power(
    margin: float, discordance: float, trials: int, rng: np.random.Generator, n: int, difference: float = 0.0
) -> float:
    """Share of paired comparisons that show non-inferiority at 5 %, by the exact test of the gauntlet."""
    lost, gained = (discordance - difference) / 2, (discordance + difference) / 2
    flips = rng.multinomial(n, [lost, gained, 1 - lost - gained], size=trials)[:, :2]
    passed = 0
    for b in np.unique(flips[:, 0]):
        mine = flips[flips[:, 0] == b, 1]
        passed += int((mine >= _fewest_gains(int(b), n, margin)).sum())
    return passed / trials


@lru_cache(maxsize=65536)
def _fewest_gains(b: int, n: int, margin: float) -> int:
    """Fewest positive flips with which `b` negative ones still pass; the verdict is monotone in them."""
    low, high = 0, n - b + 1
    while low < high:
        middle = (low + high) // 2
        if middle <= n - b and noninferiority_p(b, middle, n, margin) <= ALPHA:
            high = middle
        elif middle > n - b:
            break
        else:
            low = middle + 1
    return low


def unpaired_power(
    margin: float, trials: int, rng: np.random.Generator, n: int, difference: float = 0.0, rate: float = 0.9
) -> float:
    """Share of comparisons of two independent groups of n that show non-inferiority at 5 %, by the z test."""
    first, second = rng.binomial(n, rate + difference, trials) / n, rng.binomial(n, rate, trials) / n
    error = np.sqrt(first * (1 - first) / n + second * (1 - second) / n)
    return float(np.mean((first - second + margin) / error >= 1.6448536269514722))


def _enough(power_at: Callable[[int], float], start: int) -> int:
    """Smallest size on a grid of 1 % steps from the planned one that reaches the power."""
    n = start
    while power_at(n) < POWER:
        n = int(np.ceil(n * 1.01))
    return n

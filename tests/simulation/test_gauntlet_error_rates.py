"""Proves by simulation what every verdict promises: how often the gauntlet ships what it must not ship.

Each world is a truth about candidate and production (`decision_worlds.gauntlet_worlds`, shared with
`scripts/bench decisions`, which draws 2000 of each). `WORLDS` verdicts are drawn from it, all by `verdict.decide`, and
the share of wrong ones is compared with the promised error rate plus two Monte-Carlo standard errors.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from flywheel.components.contracts.verdict import Decision
from flywheel.scripts.benchmarks.decision_worlds.gauntlet_rows import exact_size, paired_power, unpaired_power
from flywheel.scripts.benchmarks.decision_worlds.gauntlet_worlds import (
    AT_MARGIN,
    CLUSTERED_EQUAL,
    EQUAL,
    GOOD,
    HARMFUL,
    PILOT,
    SUITES,
    Suite,
    asked_for,
    flips,
    rates,
    verdicts,
)
from flywheel.scripts.benchmarks.decision_worlds.probe_worlds import PROBES, probe_rates

WORLDS = 600
ALPHA = 0.05
MONTE_CARLO = math.sqrt(ALPHA * (1 - ALPHA) / WORLDS)  # standard error of a rate of 5 %: 0.9 points

pytestmark = [pytest.mark.simulation, pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.mark.parametrize("name", AT_MARGIN)
def test_candidate_at_a_margin_is_rarely_promoted(name: str) -> None:
    found = rates(AT_MARGIN[name], 11, WORLDS)
    assert found[Decision.PROMOTE] <= ALPHA + 2 * MONTE_CARLO, found
    assert found[Decision.REJECT] <= ALPHA + 2 * MONTE_CARLO, "exactly at the margin is not beyond it"


@pytest.mark.parametrize("name", PROBES)
def test_candidate_at_the_margin_of_a_probe_is_rarely_promoted(name: str) -> None:
    worlds = 150 if name == "p95 latency" else 400
    found = probe_rates(PROBES[name], 21, worlds)
    slack = 2 * math.sqrt(ALPHA * (1 - ALPHA) / worlds)
    assert found[Decision.PROMOTE] <= ALPHA + slack, found
    assert found[Decision.REJECT] <= ALPHA + slack, "exactly at the margin is not beyond it"


@pytest.mark.parametrize("name", [name for name, probe in PROBES.items() if probe.fill])
def test_candidate_that_holds_a_probe_is_promoted(name: str) -> None:
    """The probe's own suite decides: as many gains as losses, and the candidate passes."""
    probe = PROBES[name]
    equal = replace(probe, items=replace(probe.items, lost=probe.items.gained))
    assert probe_rates(equal, 22, 60)[Decision.PROMOTE] >= 0.8


def test_worlds_have_the_rates_and_the_correlation_they_claim() -> None:
    suite = Suite(60_000, lost=0.06, gained=0.01, size=10, icc=0.2)
    lost, gained = flips(suite, np.random.default_rng(1))
    assert lost.mean() == pytest.approx(0.06, abs=0.004)
    assert gained.mean() == pytest.approx(0.01, abs=0.002)
    by_cluster = lost.reshape(-1, 10).mean(axis=1)
    between = (by_cluster.var() - lost.var() / 10) / (0.9 * lost.var())
    assert between == pytest.approx(0.2, abs=0.03)


def test_equal_candidate_is_rarely_promoted_and_rarely_rejected() -> None:
    found = rates(EQUAL, 12, WORLDS)
    assert found[Decision.PROMOTE] <= ALPHA + 2 * MONTE_CARLO, found
    assert found[Decision.REJECT] <= ALPHA + 2 * MONTE_CARLO, found


def test_clustered_corrections_do_not_fake_a_gain() -> None:
    found = rates(CLUSTERED_EQUAL, 13, WORLDS)
    assert found[Decision.PROMOTE] <= ALPHA + 2 * MONTE_CARLO, found


def test_harmful_candidate_is_rejected_however_much_it_gains() -> None:
    found = rates(HARMFUL, 14, worlds=300)
    assert found[Decision.PROMOTE] == 0, found
    assert found[Decision.REJECT] >= 0.8, found


def test_good_candidate_is_promoted() -> None:
    found = rates(GOOD, 15, worlds=WORLDS)
    assert found[Decision.PROMOTE] >= 0.8, found
    assert found[Decision.REJECT] <= 0.005, found


def test_verdict_has_its_power_at_the_number_of_items_it_asks_for() -> None:
    """A small pilot is held; with the items that each of its metrics asks for, a good candidate passes."""
    held = sum(verdict.decision is Decision.HOLD for verdict in verdicts(PILOT, 16, 40))
    assert held >= 35, "the pilot is too small to settle anything"
    full = asked_for(PILOT, 16, 40)
    sizes = {suite: getattr(full, suite).items for suite in SUITES}
    found = rates(full, 17, worlds=300)
    assert found[Decision.PROMOTE] >= 0.8, (found, sizes)
    assert sum(sizes.values()) <= 3000, f"asking for far more than is needed: {sizes}"


@pytest.mark.parametrize(("lost", "gained"), [(0.09, 0.04), (0.06, 0.01), (0.05, 0.0), (0.2, 0.15)])
def test_exact_size_at_the_margin_is_below_alpha(lost: float, gained: float) -> None:
    """No simulation: the chance of a false pass summed over all tables of 300 independent pairs."""
    assert 0.01 < exact_size(300, 0.05, lost, gained) <= ALPHA


def test_pairing_saves_items_at_equal_error() -> None:
    """At 10 % discordance and a margin of 2 points: 70 % of the unpaired test's items have at least its power."""
    trials, unpaired = 4000, 2783
    rng = np.random.default_rng(18)
    slack = 3 * math.sqrt(ALPHA * (1 - ALPHA) / trials)
    paired = math.floor(0.7 * unpaired)
    assert paired_power(0.02, 0.10, trials, rng, paired) >= unpaired_power(0.02, trials, rng, unpaired)
    assert paired_power(0.02, 0.10, trials, rng, paired, difference=-0.02) <= ALPHA + slack
    assert unpaired_power(0.02, trials, rng, unpaired, difference=-0.02) <= ALPHA + slack

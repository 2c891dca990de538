"""How often a cluster is called growing or shrinking when nothing changed, and when something did."""

from datetime import timedelta

import numpy as np
import pytest

from flywheel.components.curation.clustering.trend import FALSE_CALLS, Events, Periods, microseconds, trends
from tests.curation.conftest import START

pytestmark = [pytest.mark.simulation, pytest.mark.slow]

CLUSTERS, USERS, WEEKS, WORLDS = 8, 120, 5, 300


def world(random: np.random.Generator, growth: float = 1.0, users: int = USERS):
    """Users of very unequal activity, each with topics of its own; in the last week cluster 0 fails `growth` as often."""
    activity = random.lognormal(1.0, 0.8, users)
    tastes = random.dirichlet(np.full(CLUSTERS, 0.5), users)
    interactions, failures = [], [[] for _ in range(CLUSTERS)]  # of each event the user and the time
    for week in range(WEEKS):
        (at,) = microseconds([START - timedelta(days=7 * week + 3)])
        asked = random.poisson(activity * random.lognormal(0, 0.3))
        for user, number in enumerate(asked.tolist()):
            interactions += [(user, at)] * number
            chance = 0.3 * tastes[user]
            chance[0] *= growth if week == 0 else 1.0
            failed = random.multinomial(number, [*chance, 1 - chance.sum()])
            for cluster in range(CLUSTERS):
                failures[cluster] += [(user, at)] * int(failed[cluster])
    return [events_of(some) for some in failures], events_of(interactions)


def events_of(pairs: list[tuple[int, int]]) -> Events:
    return Events(*np.array(pairs, np.int64).reshape(-1, 2).T)


def calls(growth: float, seed: int, worlds: int = WORLDS, users: int = USERS):
    random = np.random.default_rng(seed)
    over = Periods(7, START, WEEKS)
    return [[one.call for one in trends(*world(random, growth, users), over)] for _ in range(worlds)]


def test_nothing_changed_and_hardly_anything_is_called_a_trend():
    wrong = sum(bool({"growing", "shrinking"} & set(found)) for found in calls(1.0, 1))
    print(f"any false call in {wrong} of {WORLDS} worlds")
    assert wrong <= WORLDS * FALSE_CALLS + 3 * np.sqrt(WORLDS * FALSE_CALLS * (1 - FALSE_CALLS))


def test_a_cluster_that_trebles_is_found():
    found = calls(3.0, 2, 60, users=400)
    seen = sum(one[0] == "growing" for one in found)
    print(f"growth seen in {seen} of 60 worlds")
    assert seen >= 48

"""Error rates of the paired tests, by simulation with fixed seeds; bounds are nominal + 3 Monte-Carlo errors."""

import math

import numpy as np
import pytest

from flywheel.components.statistics.paired_binary import noninferiority_p, tango_interval
from flywheel.components.statistics.paired_clusters import (
    cluster_difference,
    cluster_noninferiority_p,
    cluster_superiority_p,
    sign_flip_p,
)
from flywheel.components.statistics.power import design_effect, paired_items_needed
from flywheel.components.statistics.ratio_of_means import (
    paired_log_ratio,
    paired_quantile_difference,
    quantile_noninferiority_p,
    ratio_noninferiority_p,
)
from flywheel.components.statistics.win_rate import win_rate, win_rate_noninferiority_p

pytestmark = [pytest.mark.simulation, pytest.mark.slow]


def mcse(rate, runs):
    """Monte-Carlo standard error of an estimated rate."""
    return math.sqrt(rate * (1 - rate) / runs)


def flips(rng, n, discordance, difference, runs):
    """(b, c) of many independent paired comparisons, shape (runs, 2)."""
    b, c = (discordance - difference) / 2, (discordance + difference) / 2
    return rng.multinomial(n, [b, c, 1 - b - c], size=runs)[:, :2]


def passes(tables, n, margin):
    """Share of tables that pass at 0.05; the verdict is monotone in c, so one bisection for each b decides."""
    total = 0
    for b in np.unique(tables[:, 0]):
        mine = tables[tables[:, 0] == b, 1]
        low, high = int(mine.min()), int(mine.max()) + 1
        while low < high:
            middle = (low + high) // 2
            if noninferiority_p(int(b), middle, n, margin) <= 0.05:
                high = middle
            else:
                low = middle + 1
        total += int((mine >= low).sum())
    return total / len(tables)


@pytest.mark.parametrize(
    ("n", "margin", "discordance"),
    [
        (135, 0.02, 0.021),
        (200, 0.05, 0.10),
        (300, 0.03, 0.06),
        (1000, 0.02, 0.06),
        (1000, 0.02, 0.2),
        (3000, 0.02, 0.1),
    ],
)
def test_false_pass_at_the_margin(n, margin, discordance):
    runs = 20_000
    rng = np.random.default_rng(n)
    rate = passes(flips(rng, n, discordance, -margin, runs), n, margin)
    print(f"false pass n={n} margin={margin} discordance={discordance}: {rate:.4f}")
    assert rate <= 0.05 + 3 * mcse(0.05, runs)


def test_power_is_what_was_planned():
    n, runs = paired_items_needed(0.02, 0.10), 4000
    power = passes(flips(np.random.default_rng(1), n, 0.10, 0.0, runs), n, 0.02)
    print(f"power at n={n}: {power:.3f}")
    assert abs(power - 0.8) <= 0.015 + 3 * mcse(0.8, runs)


@pytest.mark.parametrize(("n", "discordance", "difference"), [(50, 0.1, 0.0), (200, 0.06, -0.04), (1000, 0.1, -0.02)])
def test_tango_interval_covers(n, discordance, difference):
    runs = 4000
    tables, times = np.unique(
        flips(np.random.default_rng(n), n, discordance, difference, runs), axis=0, return_counts=True
    )
    hits = sum(
        int(k)
        for (b, c), k in zip(tables, times, strict=True)
        if tango_interval(int(b), int(c), n).contains(difference)
    )
    print(f"tango coverage n={n}: {hits / runs:.4f}")
    assert hits / runs >= 0.95 - 0.007 - 3 * mcse(0.95, runs)  # the score interval may dip 0.7 points below


def clustered_flips(rng, sizes, discordance, difference, icc, together=False):
    """Candidate and production outcomes with intraclass correlation icc of the flips.

    With chance sqrt(icc) an item copies its user's outcome; ``together``: with chance icc all of a user's items do.
    """
    who = np.repeat(np.arange(sizes.size), sizes)
    b, c = (discordance - difference) / 2, (discordance + difference) / 2
    kinds = np.array([-1, 1, 0])
    habit = rng.choice(kinds, sizes.size, p=[b, c, 1 - b - c])[who]
    own = rng.choice(kinds, who.size, p=[b, c, 1 - b - c])
    copied = (rng.random(sizes.size) < icc)[who] if together else rng.random(who.size) < math.sqrt(icc)
    flip = np.where(copied, habit, own)
    production = np.where(flip == -1, 1, np.where(flip == 1, 0, (rng.random(who.size) < 0.8).astype(int)))
    return production + flip, production, who


def skewed(seed, shape, users, most):
    """Items of users whose activity follows a Pareto law."""
    return np.minimum(most, 1 + np.floor(np.random.default_rng(seed).pareto(shape, users)).astype(int))


USERS = {
    "equal": (np.full(200, 5), 0.02, 0.08),
    "skewed": (skewed(7, 1.3, 150, 40), 0.02, 0.08),
    "a few users hold most items": (skewed(8, 1.1, 300, 60), 0.03, 0.05),
    "few": (np.full(25, 8), 0.05, 0.2),
    "sixty of ten": (np.full(60, 10), 0.05, 0.07),
    "rare": (np.full(60, 4), 0.02, 0.022),
}


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("icc", [0.3, 0.8])
@pytest.mark.parametrize("name", USERS)
def test_clustered_false_pass_at_the_margin(name, icc, together):
    """The cluster test keeps its level; the same test blind to clusters does not."""
    runs = 800
    rng = np.random.default_rng(7)
    sizes, margin, discordance = USERS[name]
    passed = blind = 0
    for _ in range(runs):
        candidate, production, who = clustered_flips(rng, sizes, discordance, -margin, icc, together)
        passed += cluster_noninferiority_p(candidate, production, who, margin) <= 0.05
        if name == "equal":
            blind += cluster_noninferiority_p(candidate, production, None, margin) <= 0.05
    print(f"clustered false pass {name}, {icc}: {passed / runs:.4f}, blind to clusters {blind / runs:.4f}")
    assert passed / runs <= 0.05 + 3 * mcse(0.05, runs)
    if name == "equal":
        assert blind / runs > 0.05 + 3 * mcse(0.05, runs)


@pytest.mark.parametrize("name", ["equal", "skewed", "sixty of ten"])
def test_clustered_bootstrap_false_pass_at_the_margin(name):
    runs = 300
    rng = np.random.default_rng(8)
    sizes, margin, discordance = USERS[name]
    passed = better = 0
    for seed in range(runs):
        worse = clustered_flips(rng, sizes, discordance, -margin, 0.3)
        passed += cluster_noninferiority_p(*worse, margin, "bootstrap", 400, seed) <= 0.05
        equal = clustered_flips(rng, sizes, discordance, 0.0, 0.3)
        better += cluster_superiority_p(*equal, "bootstrap", 400, seed) <= 0.05
    print(f"clustered bootstrap {name}: false pass {passed / runs:.3f}, false gain {better / runs:.3f}")
    assert passed / runs <= 0.05 + 3 * mcse(0.05, runs)
    assert better / runs <= 0.05 + 0.01 + 3 * mcse(0.05, runs)  # BCa alone is asymptotic: a point more is stated


@pytest.mark.parametrize("name", USERS)
def test_clustered_false_gain(name):
    runs = 800
    rng = np.random.default_rng(9)
    sizes, _, discordance = USERS[name]
    gains = [cluster_superiority_p(*clustered_flips(rng, sizes, discordance, 0.0, 0.3)) <= 0.05 for _ in range(runs)]
    print(f"clustered false gain {name}: {np.mean(gains):.4f}")
    assert np.mean(gains) <= 0.05 + 3 * mcse(0.05, runs)


@pytest.mark.parametrize("together", [False, True])
def test_win_rate_false_pass_at_the_margin(together):
    """A true win rate of 0.45 at a margin of 0.05, clustered."""
    runs = 600
    rng = np.random.default_rng(10)
    passed = 0
    for _ in range(runs):
        won, lost, who = clustered_flips(rng, np.full(120, 5), 0.8, -0.1, 0.3, together)
        words = np.where(won > lost, "candidate", np.where(won < lost, "production", "tie")).tolist()
        passed += win_rate_noninferiority_p(words, words, who, 0.05) <= 0.05
    print(f"win rate false pass: {passed / runs:.4f}")
    assert passed / runs <= 0.05 + 3 * mcse(0.05, runs)


@pytest.mark.parametrize(("method", "runs"), [("delta", 2000), ("bootstrap", 600)])
def test_clustered_interval_covers(method, runs):
    """ICC 0.3, 60 users with 1 to 8 items."""
    rng = np.random.default_rng(11)
    who = np.repeat(np.arange(60), rng.integers(1, 9, 60))
    covered = 0
    for _ in range(runs):
        shared = math.sqrt(0.3) * rng.normal(size=60)[who] + math.sqrt(0.7) * rng.normal(size=who.size)
        production = rng.normal(size=who.size)
        interval = cluster_difference(production + shared, production, who, 0.95, method, 600).interval
        covered += interval.contains(0.0)
    print(f"cluster interval coverage {method}: {covered / runs:.4f}")
    floor = 0.95 if method == "delta" else 0.935  # BCa with 60 clusters is known to lose up to 1.5 points
    assert floor - 3 * mcse(0.95, runs) <= covered / runs <= 0.99


def test_planned_power_holds_with_clusters():
    """The limit of the design effect costs items: 1.4 times those that the true design effect asks for."""
    sizes = np.full(400, 5)
    runs = 500
    deff = design_effect(sizes.tolist(), 0.3)
    n = paired_items_needed(0.03, 0.1, design_effect=1.4 * deff)
    sizes = np.full(math.ceil(n / 5), 5)
    rng = np.random.default_rng(13)
    worlds = (clustered_flips(rng, sizes, 0.1, 0.0, 0.3) for _ in range(runs))
    power = np.mean([cluster_noninferiority_p(*world, 0.03) <= 0.05 for world in worlds])
    print(f"clustered power: {power:.3f}")
    assert power >= 0.8 - 0.02 - 3 * mcse(0.8, runs)


def test_sign_flip_level():
    runs = 1500
    rng = np.random.default_rng(17)
    who = np.repeat(np.arange(30), 4)
    p = [
        sign_flip_p(rng.standard_t(4, 30)[who] + rng.normal(size=120), who, "greater", 199, seed)
        for seed in range(runs)
    ]
    rate = np.mean(np.array(p) <= 0.05)
    print(f"sign flip level: {rate:.4f}")
    assert rate <= 0.05 + 3 * mcse(0.05, runs)


def latencies(rng, users, factor):
    who = np.repeat(np.arange(users), 4)
    hard = rng.lognormal(0, 0.5, users)[who] * rng.lognormal(0, 0.4, who.size)
    noise = np.exp(0.2 * rng.normal(size=users)[who] + 0.2 * rng.normal(size=who.size))
    return factor * hard * noise / math.exp(0.04), hard, who


def test_ratio_false_pass_and_coverage():
    runs = 2000
    rng = np.random.default_rng(19)
    passed = covered = 0
    for _ in range(runs):
        candidate, production, who = latencies(rng, 100, 1.1)
        passed += ratio_noninferiority_p(candidate, production, who, 1.1) <= 0.05
        covered += paired_log_ratio(candidate, production, who).interval.contains(1.1)
    print(f"ratio false pass {passed / runs:.4f}, coverage {covered / runs:.4f}")
    # Skewed values: the delta method is asymptotic, and the excess is stated here.
    assert passed / runs <= 0.05 + 0.015 + 3 * mcse(0.05, runs)
    assert covered / runs >= 0.95 - 0.015 - 3 * mcse(0.95, runs)


def test_p95_ratio_covers():
    runs = 250
    rng = np.random.default_rng(23)
    covered = 0
    big, production, _ = latencies(rng, 250_000, 1.0)
    truth = np.quantile(big, 0.95) / np.quantile(production, 0.95)
    for seed in range(runs):
        candidate, production, who = latencies(rng, 100, 1.0)
        result = paired_quantile_difference(candidate, production, 0.95, who, resamples=400, seed=seed)
        covered += result.ratio_interval.contains(truth)
    print(f"p95 ratio coverage: {covered / runs:.3f}")
    assert covered / runs >= 0.93 - 3 * mcse(0.95, runs)


@pytest.mark.parametrize(("users", "busy"), [(100, False), (100, True), (60, True)])
def test_p95_false_pass_at_the_margin(users, busy):
    """The candidate's p95 is exactly 1.25 times production's; every tenth request may meet a busy machine."""
    runs = 400
    rng = np.random.default_rng(25)

    def draw(count, factor):
        candidate, production, who = latencies(rng, count, factor)
        if busy:
            candidate, production = (
                arm * np.where(rng.random(who.size) < 0.1, 3, 1) for arm in (candidate, production)
            )
        return candidate, production, who

    big, base, _ = draw(100_000, 1.0)
    factor = 1.25 * np.quantile(base, 0.95) / np.quantile(big, 0.95)
    passed = 0
    for seed in range(runs):
        candidate, production, who = draw(users, factor)
        passed += quantile_noninferiority_p(candidate, production, 0.95, who, 1.25, resamples=400, seed=seed) <= 0.05
    print(f"p95 false pass, {users} users, busy={busy}: {passed / runs:.4f}")
    assert passed / runs <= 0.05 + 3 * mcse(0.05, runs)


def test_win_rate_covers():
    runs = 1500
    rng = np.random.default_rng(29)
    words = np.array(["candidate", "tie", "production"])
    who = np.repeat(np.arange(60), 4)
    covered = 0
    for _ in range(runs):
        habit, own = rng.choice(3, 60, p=[0.45, 0.2, 0.35])[who], rng.choice(3, who.size, p=[0.45, 0.2, 0.35])
        verdicts = words[np.where(rng.random(who.size) < math.sqrt(0.3), habit, own)]
        covered += win_rate(list(verdicts), list(verdicts), who).interval.contains(0.55)
    print(f"win rate coverage: {covered / runs:.4f}")
    assert covered / runs >= 0.95 - 3 * mcse(0.95, runs)

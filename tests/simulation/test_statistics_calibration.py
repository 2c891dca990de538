"""Guarantees that lean on a small labelled set: judge correction and acceptance thresholds."""

import math

import numpy as np
import pytest

from flywheel.components.statistics.permutation import two_sample_permutation_p
from flywheel.components.statistics.precision_threshold import choose_threshold
from flywheel.components.statistics.prediction_powered import ppi_mean, ppi_paired_difference

pytestmark = [pytest.mark.simulation, pytest.mark.slow]


def mcse(rate, runs):
    """Monte-Carlo standard error of an estimated rate."""
    return math.sqrt(rate * (1 - rate) / runs)


def judged(rng, truth, tpr=0.92, fpr=0.35):
    return np.where(truth, rng.random(truth.size) < tpr, rng.random(truth.size) < fpr).astype(float)


def test_ppi_coverage():
    """2000 judged and 150 labelled: PPI covers, the judge alone never does, humans alone are wider."""
    runs = 3000
    rng = np.random.default_rng(7)
    covered = naive = 0
    ppi_width = human_width = 0.0
    for _ in range(runs):
        human, wide = rng.random(150) < 0.7, judged(rng, rng.random(2000) < 0.7)
        result = ppi_mean(wide, judged(rng, human), human.astype(float))
        covered += result.interval.contains(0.7)
        naive += abs(wide.mean() - 0.7) < 1.96 * wide.std() / math.sqrt(2000)
        ppi_width += result.interval.width / 2 / runs
        human_width += 1.976 * human.std(ddof=1) / math.sqrt(150) / runs
    print(
        f"PPI coverage {covered / runs:.4f} (+-{ppi_width:.3f}); naive {naive / runs:.4f}; humans +-{human_width:.3f}"
    )
    assert 0.93 <= covered / runs <= 0.97
    assert naive / runs < 0.02 and ppi_width < 0.9 * human_width


@pytest.mark.parametrize(("n_human", "good"), [(10, 0.9), (30, 0.95), (60, 0.7)])
def test_ppi_coverage_with_few_labels(n_human, good):
    runs = 2000
    rng = np.random.default_rng(n_human)
    covered = 0
    for _ in range(runs):
        human, wide = rng.random(n_human) < good, judged(rng, rng.random(1000) < good)
        covered += ppi_mean(wide, judged(rng, human), human.astype(float)).interval.contains(good)
    print(f"PPI coverage with {n_human} labels: {covered / runs:.4f}")
    assert covered / runs >= 0.95 - 0.01 - 3 * mcse(0.95, runs)


def test_ppi_paired_difference_coverage():
    runs = 1500
    rng = np.random.default_rng(9)
    covered = 0
    for _ in range(runs):
        production = rng.random(1150) < 0.7
        candidate = np.where(production, rng.random(1150) < 0.92, rng.random(1150) < 0.12)
        judge = judged(rng, candidate), judged(rng, production)
        result = ppi_paired_difference(
            (judge[0][150:], judge[1][150:]),
            (judge[0][:150], judge[1][:150]),
            (candidate[:150].astype(float), production[:150].astype(float)),
        )
        covered += result.interval.contains(0.7 * 0.92 + 0.3 * 0.12 - 0.7)
    print(f"PPI paired coverage: {covered / runs:.4f}")
    assert 0.95 - 3 * mcse(0.95, runs) <= covered / runs <= 0.98


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize(("slope", "n"), [(4.0, 1000), (2.5, 300), (2.5, 1000), (0.5, 1000)])
def test_precision_threshold_keeps_its_promise(slope, n, pooled):
    """Target 0.90 missed in at most 10% of 500 runs; a good classifier reaches 70% of the oracle's coverage."""
    runs = 500

    def draw(rng, size):
        z = rng.normal(size=size)
        return slope * z, (rng.random(size) < 1 / (1 + np.exp(0.2 - slope * z))).astype(int)

    rng = np.random.default_rng(3)
    scores, correct = draw(rng, 300_000)
    order = np.argsort(-scores)
    ranked, precision = scores[order], np.cumsum(correct[order]) / np.arange(1, scores.size + 1)
    good = np.flatnonzero(precision >= 0.9)
    oracle = (good[-1] + 1) / scores.size if good.size else 0.0
    missed, coverage = 0, 0.0
    for _ in range(runs):
        choice = choose_threshold(*draw(rng, n), pool_scores=draw(rng, 3000)[0] if pooled else None)
        if choice.threshold is not None:
            accepted = int(np.searchsorted(-ranked, -choice.threshold, side="right"))
            missed += bool(precision[max(accepted, 1) - 1] < 0.9)
            coverage += accepted / scores.size / runs
    share = coverage / oracle if oracle else 0.0
    print(
        f"threshold slope={slope} n={n} pooled={pooled}: missed {missed / runs:.3f}, {share:.2f} of oracle {oracle:.3f}"
    )
    assert missed / runs <= 0.10
    if slope == 4.0:
        assert share >= 0.70


def test_eyeballing_the_threshold_breaks_the_promise():
    """The common practice that the guarantee replaces: lowest cut that looks good misses about half the time."""
    rng = np.random.default_rng(5)
    z = rng.normal(size=300_000)
    truth = 1 / (1 + np.exp(0.2 - 4 * z))
    cut = np.linspace(0, 2, 200)
    real = np.array([truth[z >= t].mean() for t in cut])
    missed = 0
    for _ in range(300):
        scores = rng.normal(size=1000)
        correct = rng.random(1000) < 1 / (1 + np.exp(0.2 - 4 * scores))
        looks = np.array([correct[scores >= t].mean() for t in cut])
        missed += real[np.argmax(looks >= 0.9)] < 0.9
    print(f"eyeballed threshold: missed {missed / 300:.3f}")
    assert missed / 300 > 0.3


@pytest.mark.parametrize("overlap", [False, True])
def test_permutation_level_with_chatty_users(overlap):
    """ICC 0.5, users with 1 to 9 rows, in one window or in both."""
    runs = 300
    rng = np.random.default_rng(31)
    hits = 0
    for seed in range(runs):
        taste = rng.normal(size=40)
        users_x = np.repeat(np.arange(25 if overlap else 20), rng.integers(1, 10, 25 if overlap else 20))
        first = 15 if overlap else 20
        users_y = np.repeat(np.arange(first, 40), rng.integers(1, 10, 40 - first))
        x, y = (taste[users] + rng.normal(size=users.size) for users in (users_x, users_y))
        hits += (
            two_sample_permutation_p(lambda a, b: abs(a.mean() - b.mean()), x, y, users_x, users_y, 99, seed) <= 0.05
        )
    print(f"permutation level overlap={overlap}: {hits / runs:.3f}")
    assert hits / runs <= 0.05 + 3 * mcse(0.05, runs)

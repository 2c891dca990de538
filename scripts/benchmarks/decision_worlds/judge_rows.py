"""What a biased LLM judge does to a decision, and what a small human set makes of it."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from flywheel.components.statistics.prediction_powered import ppi_mean, ppi_paired_difference, ppi_superiority_p
from flywheel.scripts.benchmarks.decision_worlds.claims import Row

TPR, FPR = 0.92, 0.35
GOOD = 0.7  # share of answers that a person would call good
HUMAN, JUDGED = 150, 2000


def judged(
    rng: np.random.Generator, truth: NDArray[np.bool_], tpr: float = TPR, fpr: float = FPR
) -> NDArray[np.float64]:
    """Verdicts of a judge with the given error rates."""
    return np.where(truth, rng.random(truth.size) < tpr, rng.random(truth.size) < fpr).astype(np.float64)


def coverage(worlds: int, seed: int = 7) -> tuple[float, float, float, float]:
    """Coverage of PPI and of the judge alone; half-widths of PPI and of the human labels alone, means."""
    rng = np.random.default_rng(seed)
    covered = naive = 0
    width = human_width = 0.0
    for _ in range(worlds):
        human, wide = rng.random(HUMAN) < GOOD, judged(rng, rng.random(JUDGED) < GOOD)
        result = ppi_mean(wide, judged(rng, human), human.astype(float))
        covered += result.interval.contains(GOOD)
        naive += abs(wide.mean() - GOOD) < 1.96 * wide.std() / math.sqrt(JUDGED)
        width += result.interval.width / 2 / worlds
        human_width += float(stats.t.isf(0.025, HUMAN - 1)) * human.std(ddof=1) / math.sqrt(HUMAN) / worlds
    return covered / worlds, naive / worlds, width, human_width


def clustered_coverage(worlds: int, seed: int = 8, icc: float = 0.3, size: int = 5) -> float:
    """Coverage when users label and are judged on several answers that hang together."""
    rng = np.random.default_rng(seed)
    covered = 0
    who = [np.repeat(np.arange(count // size), size) for count in (HUMAN, JUDGED)]
    for _ in range(worlds):
        truths = [_clustered(rng, labels, icc) for labels in who]
        result = ppi_mean(judged(rng, truths[1]), judged(rng, truths[0]), truths[0].astype(float), 0.95, who[1], who[0])
        covered += result.interval.contains(GOOD)
    return covered / worlds


def _clustered(rng: np.random.Generator, who: NDArray[np.int64], icc: float) -> NDArray[np.bool_]:
    habit = (rng.random(int(who.max()) + 1) < GOOD)[who]
    return np.where(rng.random(who.size) < math.sqrt(icc), habit, rng.random(who.size) < GOOD)


def flattered(worlds: int, seed: int = 9) -> tuple[float, float, float]:
    """An equal candidate whose wrong answers the judge likes (FPR 0.50 instead of 0.35).

    Returns:
        Share of worlds in which the candidate is called better by PPI and by the judge alone (paired z, 5 %), and the
        coverage of PPI's interval of the difference.
    """
    rng = np.random.default_rng(seed)
    ours = naive = covered = 0
    for _ in range(worlds):
        production = rng.random(HUMAN + JUDGED) < GOOD
        # As good on the whole: it loses 8 % of the right answers and gains as many of the wrong ones.
        gained = 0.08 * GOOD / (1 - GOOD)
        candidate = np.where(production, rng.random(production.size) >= 0.08, rng.random(production.size) < gained)
        scores = judged(rng, candidate, fpr=0.5), judged(rng, production)
        result = ppi_paired_difference(
            (scores[0][HUMAN:], scores[1][HUMAN:]),
            (scores[0][:HUMAN], scores[1][:HUMAN]),
            (candidate[:HUMAN].astype(float), production[:HUMAN].astype(float)),
        )
        ours += ppi_superiority_p(result) <= 0.05
        covered += result.interval.contains(0.0)
        difference = scores[0] - scores[1]
        naive += difference.mean() > 1.645 * difference.std() / math.sqrt(difference.size)
    return ours / worlds, naive / worlds, covered / worlds


def rows(worlds: int) -> Iterator[Row]:
    """Coverage with a biased judge, and false claims of a gain."""
    covered, naive, width, human_width = coverage(worlds)
    world = f"biased judge: TPR {TPR}, FPR {FPR}, {HUMAN} human labels, {JUDGED} judged"
    yield Row("PPI coverage of 95 % intervals", world, covered, worlds, "between", (0.93, 0.97))
    yield Row("coverage of the judge alone", world, naive, worlds)
    yield Row("PPI interval, of the human-only one's width", world, width / human_width, worlds, error=0.0)
    clustered = clustered_coverage(worlds)
    yield Row(
        "PPI coverage, clustered", f"{world}; five answers a user, ICC 0.3", clustered, worlds, "between", (0.93, 0.97)
    )
    ours, alone, difference = flattered(worlds)
    world = "equal candidate that flatters the judge: FPR 0.50 against 0.35"
    yield Row("false gain by PPI", world, ours, worlds, "at most", (0.05,))
    yield Row("false gain by the judge alone", world, alone, worlds)
    yield Row("PPI coverage of the paired difference", world, difference, worlds, "between", (0.93, 0.97))

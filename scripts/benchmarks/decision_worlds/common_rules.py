"""The rules that are common in practice, reimplemented so that they can be tried on the same worlds.

| rule | found in |
|---|---|
| point estimate on 100 items | "accuracy of the new model >= that of the old one" in most evaluation gates |
| unpaired z, ship unless significantly worse | lm-evaluation-harness `model_comparator`, GrowthBook Safe Rollouts |
| fixed threshold | Argo Rollouts' analysis templates, `accuracy >= 0.85` gates |
| Mann-Whitney on per-minute aggregates | Kayenta's `MannWhitneyClassifier` (0.98, tolerance 0.25) |
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def point_estimate(candidate: ArrayLike, production: ArrayLike, rng: np.random.Generator, items: int = 100) -> bool:
    """Ship when the candidate's mean on a few items is at least production's.

    Args:
        candidate: Score of each item, shape (n,).
        production: Score of each item, shape (n,).
        rng: Chooses the items.
        items: How many.

    Returns:
        True: ship.
    """
    first, second = np.asarray(candidate, dtype=np.float64), np.asarray(production, dtype=np.float64)
    chosen = rng.choice(first.size, min(items, first.size), replace=False)
    return bool(first[chosen].mean() >= second[chosen].mean())


def unless_significantly_worse(
    candidate_rate: ArrayLike, candidate_n: ArrayLike, production_rate: ArrayLike, production_n: ArrayLike
) -> Flags:
    """Ship unless an unpaired one-sided z test at 5 % shows that a rate (smaller is better) is higher.

    Args:
        candidate_rate: Rates, any shape; as are the next three.
        candidate_n: Units.
        production_rate: Rates.
        production_n: Units.

    Returns:
        True: ship.
    """
    a, n, b, m = (np.asarray(x, dtype=np.float64) for x in (candidate_rate, candidate_n, production_rate, production_n))
    error = np.sqrt(a * (1 - a) / n + b * (1 - b) / m)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(error > 0, (a - b) / error, 0.0)
    return np.asarray(z <= stats.norm.isf(0.05))


def below_threshold(rate: ArrayLike, threshold: float) -> Flags:
    """Ship when a rate (smaller is better) is at most a number fixed once, whatever the sample size."""
    return np.asarray(np.asarray(rate, dtype=np.float64) <= threshold)


def kayenta_fails(canary: Floats, baseline: Floats, confidence: float = 0.98, tolerance: float = 0.25) -> bool:
    """Mann-Whitney classification of one metric (smaller is better): High when it is shown to have shifted up.

    The lower limit of the Hodges-Lehmann shift is compared with `tolerance` times the estimated shift itself, as in
    `MannWhitneyClassifier.scala`; a shift that is not significant is a Pass.

    Args:
        canary: Per-minute aggregates, shape (k,).
        baseline: Per-minute aggregates, shape (m,).
        confidence: Confidence of the interval, as Kayenta's judge sets it.
        tolerance: Share of the estimated shift.

    Returns:
        True: High, the metric fails.
    """
    shifts = np.sort((canary[:, None] - baseline[None, :]).ravel())
    k, m = canary.size, baseline.size
    reach = stats.norm.ppf((1 + confidence) / 2) * math.sqrt(k * m * (k + m + 1) / 12)
    place = max(0, math.floor(k * m / 2 - reach))
    return bool(shifts[place] > tolerance * abs(float(np.median(shifts))))

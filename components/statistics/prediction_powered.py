"""A judge's mean score, corrected by a small set that humans labelled too.

An LLM judge with 92% true and 35% false positives is far off however many answers it judges; a hundred human labels
remove the bias and the judge removes most of the human noise. Source: Angelopoulos et al. (2023),
Science 382:669 (prediction-powered inference); Angelopoulos, Duchi & Zrnic (2023), arXiv:2311.01453 (PPI++).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from flywheel.components.statistics.binomial_bounds import lower_bound, upper_bound
from flywheel.components.statistics.checked import FloatArray, IntArray, cluster_codes, fraction, pair, sample
from flywheel.components.statistics.cluster_mean import cluster_mean
from flywheel.components.statistics.interval import Interval
from flywheel.components.statistics.paired_clusters import Clusters

Rate = tuple[float | None, Interval | None]

MIN_HUMAN = 10
"""Fewest human labels that allow a correction at all."""

_PSEUDO = 2.0
"""Pseudo-labels one scale width off, added to the variance: ten perfect labels do not prove a perfect judge."""


@dataclass(frozen=True)
class PPIResult:
    """Prediction-powered estimate of a mean (or of a paired difference of means).

    Attributes:
        estimate: Bias-corrected mean, in the unit of the labels.
        interval: Two-sided interval, within the label scale.
        standard_error: Standard error of the estimate.
        lam: Weight given to the judge, 0 (ignored) to 1.
        judge_tpr: Share of humanly good answers that the judge calls good (score >= 0.5); None if there are none or
            the human labels are not 0 and 1.
        judge_fpr: Share of humanly bad answers that the judge calls good; None likewise.
        n_human: Answers (or pairs) labelled by humans.
        n_judged: Answers (or pairs) with the judge only.
        freedom: Degrees of freedom for Student's t.
        judge_tpr_interval: Interval of the true positive rate at the same confidence; None when the rate is.
        judge_fpr_interval: Interval of the false positive rate; None when the rate is.
    """

    estimate: float
    interval: Interval
    standard_error: float
    lam: float
    judge_tpr: float | None
    judge_fpr: float | None
    n_human: int
    n_judged: int
    freedom: float
    judge_tpr_interval: Interval | None = None
    judge_fpr_interval: Interval | None = None


def ppi_mean(
    judge_unlabelled: ArrayLike,
    judge_labelled: ArrayLike,
    human_labelled: ArrayLike,
    confidence: float = 0.95,
    clusters_unlabelled: Clusters = None,
    clusters_labelled: Clusters = None,
) -> PPIResult:
    """PPI++ estimate of the mean human score, with the power-tuned weight of the judge.

    Args:
        judge_unlabelled: Judge's scores in [0, 1] of answers that no human saw, shape (N,); disjoint from the others.
        judge_labelled: Judge's scores of the answers that humans labelled, shape (n,); a random sample of the same
            population.
        human_labelled: Human scores in [0, 1] of those answers, shape (n,).
        confidence: Coverage in (0, 1).
        clusters_unlabelled: Cluster labels, shape (N,); None makes every answer its own cluster.
        clusters_labelled: Cluster labels, shape (n,).

    Returns:
        Estimate, interval, weight and the judge's error rates.

    Raises:
        ValueError: If there are fewer than 10 human labels, the lengths differ, or a value is NaN or outside [0, 1].
    """
    unlabelled = sample(judge_unlabelled, "judge_unlabelled", 0, 1, least=2)
    judge, human = _labelled(judge_labelled, human_labelled, "judge_labelled", "human_labelled")
    return _ppi(
        unlabelled,
        judge,
        human,
        confidence,
        (clusters_unlabelled, clusters_labelled),
        limits=(0.0, 1.0),
        rates=_error_rates(judge, human, clusters_labelled, confidence),
    )


def ppi_paired_difference(
    judge_unlabelled: tuple[ArrayLike, ArrayLike],
    judge_labelled: tuple[ArrayLike, ArrayLike],
    human_labelled: tuple[ArrayLike, ArrayLike],
    confidence: float = 0.95,
    clusters_unlabelled: Clusters = None,
    clusters_labelled: Clusters = None,
) -> PPIResult:
    """PPI++ estimate of mean human score, candidate minus production, on the same prompts.

    Args:
        judge_unlabelled: Judge's scores in [0, 1] of (candidate, production) on prompts without human labels, each
            of shape (N,).
        judge_labelled: Judge's scores of (candidate, production) on the humanly labelled prompts, each of shape (n,).
        human_labelled: Human scores of (candidate, production) on those prompts, each of shape (n,).
        confidence: Coverage in (0, 1).
        clusters_unlabelled: Cluster labels of the prompts, shape (N,).
        clusters_labelled: Cluster labels of the prompts, shape (n,).

    Returns:
        Estimate of the difference; the judge's error rates are pooled over both arms.

    Raises:
        ValueError: As ``ppi_mean``.
    """
    wide = pair(*(sample(arm, "judge_unlabelled", 0, 1, least=2) for arm in judge_unlabelled))
    candidate = _labelled(judge_labelled[0], human_labelled[0], "candidate's judge", "candidate's human")
    production = _labelled(judge_labelled[1], human_labelled[1], "production's judge", "production's human")
    if candidate[0].size != production[0].size:
        raise ValueError(f"labelled pairs differ in length: {candidate[0].size} and {production[0].size}")
    judge, human = (np.concatenate(scores) for scores in zip(candidate, production, strict=True))
    codes, _ = cluster_codes(clusters_labelled, candidate[0].size)
    return _ppi(
        wide[0] - wide[1],
        candidate[0] - production[0],
        candidate[1] - production[1],
        confidence,
        (clusters_unlabelled, clusters_labelled),
        limits=(-1.0, 1.0),
        rates=_error_rates(judge, human, np.tile(codes, 2), confidence),  # both answers to a prompt hang together
    )


def ppi_noninferiority_p(difference: PPIResult, margin: float) -> float:
    """One-sided p-value of "the human score of the candidate is above production's minus the margin".

    Args:
        difference: Result of ``ppi_paired_difference``.
        margin: Largest tolerable loss in (0, 1).

    Returns:
        p-value; small means non-inferior.

    Raises:
        ValueError: If the margin is out of range.
    """
    statistic = (difference.estimate + fraction(margin, "margin")) / difference.standard_error
    return float(stats.t.sf(statistic, difference.freedom))


def ppi_superiority_p(difference: PPIResult) -> float:
    """One-sided p-value of "the human score of the candidate is above production's".

    Args:
        difference: Result of ``ppi_paired_difference``.

    Returns:
        p-value; small means better.
    """
    return float(stats.t.sf(difference.estimate / difference.standard_error, difference.freedom))


def _ppi(
    wide: FloatArray,
    judge: FloatArray,
    human: FloatArray,
    confidence: float,
    clusters: tuple[Clusters, Clusters],
    limits: tuple[float, float],
    rates: tuple[Rate, Rate],
) -> PPIResult:
    fraction(confidence, "confidence")
    wide_codes, wide_total = cluster_codes(clusters[0], wide.size)
    codes, total = cluster_codes(clusters[1], human.size)
    n, many = human.size, wide.size
    noise = float(np.concatenate([wide, judge]).var())
    shared = float(np.mean((human - human.mean()) * (judge - judge.mean())))
    lam = min(1.0, max(0.0, shared / (noise * (1 + n / many)))) if noise > 0 else 0.0
    rectified = human - lam * judge
    labelled, judged = cluster_mean(rectified, codes, total), cluster_mean(wide, wide_codes, wide_total)
    estimate = lam * judged.mean + labelled.mean
    spread = (float(((rectified - rectified.mean()) ** 2).sum()) + _PSEUDO) / n
    inflation = labelled.design_effect if labelled.naive_variance else 1.0
    error = math.sqrt(spread / n * inflation + lam**2 * judged.variance)
    half = float(stats.t.isf((1 - confidence) / 2, labelled.freedom)) * error
    estimate = min(max(estimate, limits[0]), limits[1])
    interval = Interval(max(limits[0], estimate - half), min(limits[1], estimate + half), float(confidence))
    return PPIResult(
        estimate=estimate,
        interval=interval,
        standard_error=error,
        lam=lam,
        judge_tpr=rates[0][0],
        judge_fpr=rates[1][0],
        n_human=int(n),
        n_judged=int(many),
        freedom=labelled.freedom,
        judge_tpr_interval=rates[0][1],
        judge_fpr_interval=rates[1][1],
    )


def _labelled(judge: ArrayLike, human: ArrayLike, judge_name: str, human_name: str) -> tuple[FloatArray, FloatArray]:
    labels = np.asarray(human, dtype=np.float64)
    if labels.ndim != 1 or labels.size < MIN_HUMAN:
        raise ValueError(f"{human_name} needs at least {MIN_HUMAN} labels to correct the judge, got {labels.size}")
    return pair(sample(judge, judge_name, 0, 1), sample(labels, human_name, 0, 1))


def _error_rates(judge: FloatArray, human: FloatArray, clusters: Clusters, confidence: float) -> tuple[Rate, Rate]:
    """True and false positive rate of the judge with exact intervals on the effective sample."""
    if not np.isin(human, (0, 1)).all():
        return (None, None), (None, None)
    codes, _ = cluster_codes(clusters, human.size)
    says_good = (judge >= 0.5).astype(np.float64)
    return (
        _rate(says_good[human == 1], codes[human == 1], confidence),
        _rate(says_good[human == 0], codes[human == 0], confidence),
    )


def _rate(events: FloatArray, codes: IntArray, confidence: float) -> Rate:
    """Share of events; its Clopper-Pearson interval on ``n`` over the worst design effect, rounded outwards."""
    if not events.size:
        return None, None
    sizes = np.bincount(codes).astype(np.float64)
    deff = max(1.0, float((sizes**2).sum() / events.size))
    size = max(1, math.floor(events.size / deff + 1e-9))
    few, many = (min(size, edge(float(events.sum()) / deff)) for edge in (_floor, _ceil))
    tail = (1 + confidence) / 2
    rate = float(events.mean())
    interval = Interval(min(rate, lower_bound(few, size, tail)), max(rate, upper_bound(many, size, tail)), confidence)
    return rate, interval


def _floor(value: float) -> int:
    return math.floor(value + 1e-9)


def _ceil(value: float) -> int:
    return math.ceil(value - 1e-9)

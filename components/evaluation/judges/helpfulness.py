"""Helpfulness as a judge sees it, corrected by what people say about a random part of the answers.

A judge alone is only reported: with 92 % true and 35 % false positives its interval hardly ever holds the truth,
however many answers it judges, so without human labels nothing can pass and nothing can fail. With labels the
difference is the prediction-powered one (PPI++, `statistics.prediction_powered`): right on average whatever the judge
does, and the surer the better the judge is.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from flywheel.components.evaluation.metrics.finding import Finding, Levels
from flywheel.components.evaluation.metrics.paired_rows import Column, PairedRows
from flywheel.components.evaluation.verdict.spec import GauntletSpec, MetricSpec
from flywheel.components.statistics.binomial_bounds import clopper_pearson
from flywheel.components.statistics.checked import cluster_codes
from flywheel.components.statistics.cluster_mean import cluster_mean
from flywheel.components.statistics.interval import Interval
from flywheel.components.statistics.prediction_powered import (
    MIN_HUMAN,
    PPIResult,
    ppi_mean,
    ppi_noninferiority_p,
    ppi_paired_difference,
    ppi_superiority_p,
)
from flywheel.components.statistics.win_rate import win_rate

UNIT = "share of helpful answers"
CORRECTED = "prediction-powered paired difference, cluster-robust t (Angelopoulos, Duchi & Zrnic 2023)"
ALONE = "judge alone, uncorrected: reported, decides nothing"


@dataclass(frozen=True)
class _Pair:
    """Scores of (candidate, production) in [0, 1], each of shape (n,)."""

    candidate: Column
    production: Column

    def at(self, places: NDArray[np.bool_]) -> tuple[Column, Column]:
        return self.candidate[places], self.production[places]


def compare(rows: PairedRows, metric: MetricSpec, levels: Levels, spec: GauntletSpec) -> Finding:
    """Compare how helpful the answers are.

    Args:
        rows: Items with a judge's scores or preferences, and with human scores on a random part of them.
        metric: The metric; its margin is the tolerable loss on the human scale of 0 to 1. A preference counts as 1
            for the winner, 0 for the loser and a half each for a tie, so a win rate of 45 % is a loss of 0.1.
        levels: Error rate and power.
        spec: The gauntlet.

    Returns:
        The finding. Without human labels both p-values are 1.

    Raises:
        ValueError: The judge was not asked or failed on some items, or too few answers are labelled.
    """
    judge = _judged(rows)
    labelled = ~np.isnan(rows.candidate.human) & ~np.isnan(rows.production.human)
    reasons = _win_rate(rows, levels)
    count = int(labelled.sum())
    if count == 0:
        return _alone(rows, judge, levels, reasons)
    if count < MIN_HUMAN:
        raise ValueError(f"{count} answers are labelled by people; at least {MIN_HUMAN} are needed to correct a judge")
    human = _Pair(rows.candidate.human, rows.production.human)
    result, production = _corrected(rows.cluster, judge, human, labelled, 1 - 2 * levels.alpha)
    half = float(stats.t.isf(levels.alpha, result.freedom)) * result.standard_error
    room = metric.effect if metric.effect is not None else metric.margin
    need = _needed(rows.n, result.standard_error, room, levels)
    safe = ppi_noninferiority_p(result, metric.margin) if metric.margin > 0 else 1.0
    better = None if metric.effect is None else ppi_superiority_p(result)
    open_still = (safe if better is None else better) > levels.alpha
    reasons += [
        *_error_rates(result, judge, human, labelled, levels),
        _weight(result, rows.n, count, need if open_still else None),
    ]
    harm = float(stats.t.cdf((result.estimate + metric.margin) / result.standard_error, result.freedom))
    return Finding(
        scale="difference",
        unit=UNIT,
        direction="higher",
        n=rows.n,
        clusters=len(np.unique(rows.cluster)),
        production=production,
        candidate=min(1.0, max(0.0, production + result.estimate)),
        value=result.estimate,
        lower=max(-1.0, result.estimate - half),
        upper=min(1.0, result.estimate + half),
        test=CORRECTED,
        p_superior=better,
        p_safe=safe,
        p_harm=harm,
        n_needed=lambda: need,
        reasons=tuple(reasons),
    )


def _judged(rows: PairedRows) -> _Pair:
    """The judge's scores: of each answer, or 1, 0 and a half for the winner, the loser and a tie."""
    first, swapped = rows.preference
    asked = (first != "") & (swapped != "")
    if asked.any():
        agreed = np.where(first == swapped, first, "tie")  # a judge that contradicts itself has no preference
        candidate = np.select([agreed == "candidate", agreed == "production"], [1.0, 0.0], 0.5)
        judge, missing = _Pair(candidate, 1 - candidate), ~asked
    else:
        judge = _Pair(rows.candidate.helpful, rows.production.helpful)
        missing = np.isnan(judge.candidate) | np.isnan(judge.production)
    if missing.all():
        raise ValueError("no judge was asked about these answers")
    if missing.any():
        raise ValueError(
            f"the judge gave no readable verdict on {int(missing.sum())} of {rows.n} items, "
            f"for example on {str(rows.item_id[missing][0])!r}"
        )
    return judge


def _corrected(
    clusters: NDArray[np.str_], judge: _Pair, human: _Pair, labelled: NDArray[np.bool_], confidence: float
) -> tuple[PPIResult, float]:
    """The corrected difference, and production's corrected mean."""
    mine = clusters[labelled]
    wide = ~labelled & ~np.isin(clusters, mine)  # the two samples must not share a cluster
    if len(np.unique(clusters[wide])) < 2:  # people labelled all there is: the judge has nothing to add
        still = (np.zeros(2), np.zeros(2))
        mute = (np.zeros(mine.size), np.zeros(mine.size))
        result = ppi_paired_difference(still, mute, human.at(labelled), confidence, None, mine)
        return result, float(human.production[labelled].mean())
    result = ppi_paired_difference(
        judge.at(wide), judge.at(labelled), human.at(labelled), confidence, clusters[wide], mine
    )
    production = ppi_mean(
        judge.production[wide], judge.production[labelled], human.production[labelled], confidence, clusters[wide], mine
    )
    return result, production.estimate


def _alone(rows: PairedRows, judge: _Pair, levels: Levels, reasons: list[str]) -> Finding:
    """What the judge says without people: a number, and no claim."""
    codes, total = cluster_codes(rows.cluster, rows.n)
    mean = cluster_mean(judge.candidate - judge.production, codes, total)
    half = float(stats.t.isf(levels.alpha, mean.freedom)) * mean.standard_error
    return Finding(
        scale="difference",
        unit=UNIT,
        direction="higher",
        n=rows.n,
        clusters=mean.clusters,
        production=float(judge.production.mean()),
        candidate=float(judge.candidate.mean()),
        value=mean.mean,
        lower=max(-1.0, mean.mean - half),
        upper=min(1.0, mean.mean + half),
        test=ALONE,
        p_superior=None,
        p_safe=1.0,
        p_harm=1.0,
        n_needed=lambda: None,
        reasons=(
            "no_human_labels: a judge alone is biased by an unknown amount, so nothing is decided on it; "
            f"let people label a random part of the answers (at least {MIN_HUMAN}, some hundred are usual)",
            *reasons,
        ),
    )


def _win_rate(rows: PairedRows, levels: Levels) -> list[str]:
    """The judge's own win rate, in words, where it compared pairs in both orders."""
    first, swapped = (column.tolist() for column in rows.preference)
    if "" in first or "" in swapped:
        return []
    rate = win_rate(first, swapped, rows.cluster, 1 - 2 * levels.alpha)
    return [
        f"judge_win_rate: {rate.estimate:.3f} {_span(rate.interval)} by the judge alone ({rate.wins} won, "
        f"{rate.losses} lost, {rate.ties} ties, {rate.inconsistent} of them contradicted when the order was swapped)"
    ]


def _error_rates(
    result: PPIResult, judge: _Pair, human: _Pair, labelled: NDArray[np.bool_], levels: Levels
) -> list[str]:
    """The judge against people: true and false positives, or how often it prefers what they prefer."""
    if result.lam == 0 and result.n_judged == 2:
        return []
    rates = []
    for name, rate, interval in (
        ("true", result.judge_tpr, result.judge_tpr_interval),
        ("false", result.judge_fpr, result.judge_fpr_interval),
    ):
        if rate is not None and interval is not None:
            rates.append(f"{name} positive rate {rate:.2f} {_span(interval)}")
    if rates and not (judge.candidate + judge.production == 1).all():  # scores of answers, not preferences
        return [f"judge_error_rates: {', '.join(rates)}"]
    theirs = np.sign(human.candidate - human.production)[labelled]
    alike = int((np.sign(judge.candidate - judge.production)[labelled] == theirs).sum())
    span = _span(clopper_pearson(alike, theirs.size, 1 - 2 * levels.alpha))
    return [f"judge_agreement: it prefers what people prefer on {alike} of {theirs.size} items {span}"]


def _weight(result: PPIResult, n: int, labels: int, need: int | None) -> str:
    share = math.ceil(need * labels / n) if need else 0
    more = f"; about {share} labels of {need} items would settle it at this judge's quality" if share > labels else ""
    return f"human_labels: {labels} of {n} items, the judge weighs {result.lam:.2f}{more}"


def _needed(n: int, error: float, room: float, levels: Levels) -> int | None:
    """Items in all, labelled in the same proportion, at which a candidate without loss passes with the power."""
    if room <= 0:
        return None
    reach = float(stats.norm.isf(levels.alpha) + stats.norm.isf(1 - levels.power)) * error
    return math.ceil(n * (reach / room) ** 2)


def _span(interval: Interval) -> str:
    return f"[{interval.lower:.2f}, {interval.upper:.2f}]"

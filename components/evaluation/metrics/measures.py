"""From a metric of the spec and the columns to a finding: which rows, which test."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flywheel.components.evaluation.attack import attack_success, benign_pass
from flywheel.components.evaluation.judges import helpfulness
from flywheel.components.evaluation.metrics import (
    accuracy,
    cost,
    critical,
    event_rate,
    latency_tail,
    mean_ratio,
    median_ratio,
)
from flywheel.components.evaluation.metrics.finding import Finding, Levels
from flywheel.components.evaluation.metrics.item_columns import ItemColumns
from flywheel.components.evaluation.metrics.paired_rows import Column, PairedRows
from flywheel.components.evaluation.probes import sycophancy, targeted_entity
from flywheel.components.evaluation.scores.scores import ScoreTable
from flywheel.components.evaluation.verdict.spec import GauntletSpec, MetricSpec

OTHER = "other"


@dataclass(frozen=True)
class Question:
    """One metric on one set of rows; a slice metric becomes one question per value of its dimension."""

    name: str
    metric: MetricSpec
    rows: NDArray[np.intp]


@dataclass(frozen=True)
class Missing:
    """A question that the scores cannot answer."""

    reason: str  # `code: words`


def questions(table: ItemColumns, spec: GauntletSpec) -> list[Question]:
    """List what the spec asks of these items.

    Optional metrics whose suites have no items are left out. Values of a slice with fewer items than `min_items` are
    taken together as `other`, so that no item escapes by being rare.

    Args:
        table: Items, answered or not.
        spec: The gauntlet.

    Returns:
        Questions in the order of the spec, slices in the order of their values.
    """
    found: list[Question] = []
    for metric in spec.metrics:
        rows = np.flatnonzero(table.mask(metric.suites))
        if rows.size == 0 and not metric.required:
            continue
        if metric.role != "slice":
            found.append(Question(metric.name, metric, rows))
            continue
        names, codes = table.slice_codes(metric.slice_by)
        counts = np.bincount(codes[rows], minlength=names.size)
        big = [place for place, name in enumerate(names) if name and counts[place] >= max(1, metric.min_items)]
        groups = [(str(names[place]), rows[codes[rows] == place]) for place in big]
        rest = rows[~np.isin(codes[rows], big)]
        if rest.size or not groups:
            groups.append((OTHER, rest))
        found += [Question(f"{metric.name}[{metric.slice_by}={value}]", metric, part) for value, part in groups]
    return found


def answer(table: ScoreTable, question: Question, spec: GauntletSpec, claims: int) -> Finding | Missing:
    """Compute one metric.

    Args:
        table: Scores.
        question: What is asked.
        spec: The gauntlet.
        claims: Claims that must all hold for a promotion.

    Returns:
        The finding, or why there is none.
    """
    metric, rows = question.metric, question.rows
    if rows.size == 0:
        provide = f"; provide {metric.provide}" if metric.provide else ""
        return Missing(f"missing_metric: {question.name} has no items of suite {' or '.join(metric.suites)}{provide}")
    levels = levels_of(metric, spec, claims)
    if metric.measure in ("latency", "latency_p95"):
        rows = rows[~np.isnan(table.latency_ms["production"][rows]) & ~np.isnan(table.latency_ms["candidate"][rows])]
    chosen = table.rows(rows)
    if metric.measure != "critical" and (rows.size < 2 or (chosen.cluster == chosen.cluster[0]).all()):
        return Missing(f"missing_metric: {question.name} has {rows.size} measured items in fewer than two clusters")
    if metric.measure == "latency_p95" and rows.size < latency_tail.FEWEST:
        return Missing(
            f"too_few_items: {question.name} has {rows.size} timed items, the p95 needs {latency_tail.FEWEST}; "
            "raise latency_items in the spec"
        )
    try:
        return MEASURES[metric.measure](chosen, metric, levels, spec)
    except ValueError as error:
        return Missing(f"evaluator_failure: {question.name}: {error}")


def levels_of(metric: MetricSpec, spec: GauntletSpec, claims: int) -> Levels:
    """Return the error rates of a metric when `claims` claims must all hold for a promotion.

    The power is shared out over them, so that the whole verdict has the power of the spec: 1 - (1 - power) / claims
    each.
    """
    return Levels(spec.alpha_of(metric), 1 - (1 - spec.power) / max(1, claims))


Compare = Callable[[PairedRows, MetricSpec, Levels, GauntletSpec], Finding]


def _accuracy(rows: PairedRows, metric: MetricSpec, levels: Levels, spec: GauntletSpec) -> Finding:
    candidate, production = _finite(rows.candidate.correct, rows.production.correct)
    return accuracy.compare(candidate, production, rows.cluster, metric.margin, levels, metric.effect, spec.seed)


def _negative_flips(rows: PairedRows, metric: MetricSpec, levels: Levels, spec: GauntletSpec) -> Finding:
    _finite(rows.candidate.correct, rows.production.correct)
    candidate, production = rows.candidate.majority, rows.production.majority
    return event_rate.negative_flips(candidate, production, rows.cluster, metric.margin, levels)


def _unsafe(rows: PairedRows, metric: MetricSpec, levels: Levels, spec: GauntletSpec) -> Finding:
    candidate, production = _finite(rows.candidate.unsafe, rows.production.unsafe)
    return event_rate.unsafe_answers(candidate, production, rows.cluster, metric.margin, levels, rows.item_id)


def _latency(rows: PairedRows, metric: MetricSpec, levels: Levels, spec: GauntletSpec) -> Finding:
    candidate, production = _finite(rows.candidate.latency_ms, rows.production.latency_ms)
    return median_ratio.compare(candidate, production, metric.margin, levels)


def _length(rows: PairedRows, metric: MetricSpec, levels: Levels, spec: GauntletSpec) -> Finding:
    candidate, production = _finite(rows.candidate.tokens, rows.production.tokens)
    return mean_ratio.compare(candidate, production, rows.cluster, metric.margin, levels)


def _finite(candidate: Column, production: Column) -> tuple[Column, Column]:
    if not (np.isfinite(candidate).all() and np.isfinite(production).all()):
        raise ValueError("a value is no number")
    return candidate, production


MEASURES: dict[str, Compare] = {
    "accuracy": _accuracy,
    "negative_flips": _negative_flips,
    "critical": critical.compare,
    "helpfulness": helpfulness.compare,
    "unsafe": _unsafe,
    "sycophancy": sycophancy.compare,
    "entity": targeted_entity.compare,
    "attack_success": attack_success.compare,
    "benign_pass": benign_pass.compare,
    "latency": _latency,
    "latency_p95": latency_tail.compare,
    "length": _length,
    "cost": cost.compare,
}
"""How each measure of the spec becomes a finding: rows, metric, levels, spec to `Finding`; ValueError: it cannot."""

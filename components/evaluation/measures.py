"""From a metric of the spec and the columns to a finding: which rows, which test."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flywheel.components.evaluation import accuracy, event_rate, mean_ratio, median_ratio
from flywheel.components.evaluation.finding import Finding, Levels
from flywheel.components.evaluation.scores import ScoreTable
from flywheel.components.evaluation.spec import GauntletSpec, MetricSpec

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


def questions(table: ScoreTable, spec: GauntletSpec) -> list[Question]:
    """List what the spec asks of this table.

    Optional metrics whose suites have no items are left out. Values of a slice with fewer items than `min_items` are
    taken together as `other`, so that no item escapes by being rare.

    Args:
        table: Scores.
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
        values = table.slices.get(metric.slice_by, np.full(table.item_id.size, "", dtype=np.str_))[rows]
        counts = Counter(str(value) for value in values)
        big = sorted(value for value, count in counts.items() if count >= metric.min_items and value)
        groups = [(value, rows[values == value]) for value in big]
        rest = rows[~np.isin(values, big)]
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
        claims: Claims that must all hold for a promotion; the power is shared out over them, so that the whole
            verdict has the power of the spec (1 - (1 - power) / claims each).

    Returns:
        The finding, or why there is none.
    """
    metric, rows = question.metric, question.rows
    if rows.size == 0:
        provide = f"; provide {metric.provide}" if metric.provide else ""
        return Missing(f"missing_metric: {question.name} has no items of suite {' or '.join(metric.suites)}{provide}")
    levels = Levels(spec.alpha_of(metric), 1 - (1 - spec.power) / max(1, claims))
    if metric.measure == "latency":
        rows = rows[~np.isnan(table.latency_ms["production"][rows]) & ~np.isnan(table.latency_ms["candidate"][rows])]
    clusters = table.cluster[rows]
    if rows.size < 2 or len(set(clusters.tolist())) < 2:
        return Missing(f"missing_metric: {question.name} has {rows.size} measured items in fewer than two clusters")
    try:
        return _compare(table, metric, rows, clusters, levels, spec.seed)
    except ValueError as error:
        return Missing(f"evaluator_failure: {question.name}: {error}")


def _compare(
    table: ScoreTable,
    metric: MetricSpec,
    rows: NDArray[np.intp],
    clusters: NDArray[np.str_],
    levels: Levels,
    seed: int,
) -> Finding:
    def arms(columns: dict[str, NDArray[np.float64]]) -> Sequence[NDArray[np.float64]]:
        chosen = [columns["candidate"][rows], columns["production"][rows]]
        if not all(np.isfinite(arm).all() for arm in chosen):
            raise ValueError("a value is no number")
        return chosen

    if metric.measure == "accuracy":
        candidate, production = arms(table.correct)
        return accuracy.compare(candidate, production, clusters, metric.margin, levels, metric.effect, seed)
    if metric.measure == "negative_flips":
        candidate, production = arms(table.correct)
        return event_rate.negative_flips(candidate, production, clusters, metric.margin, levels)
    if metric.measure == "unsafe":
        candidate, production = arms(table.unsafe)
        return event_rate.unsafe_answers(candidate, production, clusters, metric.margin, levels, table.item_id[rows])
    if metric.measure == "latency":
        candidate, production = arms(table.latency_ms)
        return median_ratio.compare(candidate, production, metric.margin, levels)
    candidate, production = arms(table.tokens)
    return mean_ratio.compare(candidate, production, clusters, metric.margin, levels)

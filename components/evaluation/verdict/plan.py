"""Is this gauntlet worth running? Items and clusters against what the spec's claims need, before anything is answered.

A verdict that cannot come out costs GPU hours and, worse, tempts to ship without one. The numbers are those of the
tests that will be made: the same design effects, error rates and power, at the rates that the spec expects.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from flywheel.components.contracts.dataset import ATTACKED, DERIVED, EvaluationItem, Suite
from flywheel.components.evaluation.metrics import accuracy, event_rate, latency_tail
from flywheel.components.evaluation.metrics.finding import Levels
from flywheel.components.evaluation.metrics.item_columns import ItemColumns
from flywheel.components.evaluation.metrics.measures import Question, levels_of, questions
from flywheel.components.evaluation.scores.score_lines import PlannedMetric
from flywheel.components.evaluation.verdict.spec import KINDS, GauntletSpec, MetricSpec
from flywheel.components.statistics.power import design_effect, paired_items_needed

_TINY = 1e-9


def plan(items: Sequence[EvaluationItem], spec: GauntletSpec) -> tuple[PlannedMetric, ...]:
    """Tell for every metric what there is and what is needed.

    Args:
        items: Evaluation items.
        spec: The gauntlet.

    Returns:
        One plan per metric and slice, in the order of the verdict. Metrics whose items later steps make are left out.
    """
    columns = _columns(items)
    asked = questions(columns, spec)
    protecting = sum(question.metric.role != "primary" for question in asked)
    # The attack adds lines to its suites whatever the file holds; other probes are planned once there are some.
    made_later = [
        set(question.metric.suites) <= set(ATTACKED)
        or (question.rows.size == 0 and set(question.metric.suites) <= set(DERIVED))
        for question in asked
    ]
    return tuple(
        _planned(question, columns, spec, levels_of(question.metric, spec, protecting + 1))
        for question, later in zip(asked, made_later, strict=True)
        if not later
    )


def further_items(wanted: Iterable[tuple[Sequence[Suite], int]]) -> int | None:
    """Add up further items; an item asked for by one suite also serves the metrics over more suites.

    Args:
        wanted: Suites of a metric and the items that it lacks.

    Returns:
        Items in all, or None when none would help.
    """
    want: dict[frozenset[Suite], int] = {}
    for suites, more in wanted:
        key = frozenset(suites)
        want[key] = max(want.get(key, 0), more)
    given: dict[frozenset[Suite], int] = {}
    for key in sorted(want, key=lambda key: (len(key), sorted(key))):
        served = sum(more for part, more in given.items() if part < key)
        given[key] = max(0, want[key] - served)
    return sum(given.values()) or None


def plan_text(planned: Sequence[PlannedMetric]) -> str:
    """Render a plan for a terminal: one line per metric, then what to do."""
    width = max((len(one.name) for one in planned), default=6)
    lines = [f"{'metric':<{width}}  {'items':>7} {'clusters':>8} {'needed':>7}"]
    for one in planned:
        mark = "enough" if one.enough else "too few"
        lines.append(f"{one.name:<{width}}  {one.n:>7} {one.clusters:>8} {one.needed:>7}  {mark} ({one.why})")
    short = [one for one in planned if not one.enough]
    if short:
        more = further_items((one.suites, one.needed - one.n) for one in short)
        lines.append(f"underpowered: {len(short)} of {len(planned)} metrics; about {more} further items are needed")
    else:
        lines.append("enough items for every metric")
    return "\n".join(lines)


def _columns(items: Sequence[EvaluationItem]) -> ItemColumns:
    dimensions = sorted({name for item in items for name in item.slices})
    return ItemColumns(
        item_id=np.array([item.item_id for item in items], dtype=np.str_),
        suite=np.array([item.suite for item in items], dtype=np.str_),
        cluster=np.array([item.cluster or item.item_id for item in items], dtype=np.str_),
        slices={name: np.array([item.slices.get(name, "") for item in items], dtype=np.str_) for name in dimensions},
    )


def _planned(question: Question, columns: ItemColumns, spec: GauntletSpec, levels: Levels) -> PlannedMetric:
    metric = question.metric
    sizes = np.bincount(columns.cluster_codes[question.rows])
    sizes = sizes[sizes > 0]
    n, clusters = int(question.rows.size), int(sizes.size)
    worst = float((sizes**2).sum() / n) if n else 1.0
    needed, why = _needed(metric, spec, levels, sizes, worst, n / max(1, clusters))
    registered = max(metric.min_items, math.ceil(metric.fewest_clusters * n / max(1, clusters)))
    if registered > needed:
        needed, why = registered, "the registered minimum"
    if n == 0 and metric.provide:
        why = f"provide {metric.provide}"
    return PlannedMetric(
        name=question.name, role=metric.role, suites=metric.suites, n=n, clusters=clusters, needed=needed, why=why
    )  # fmt: skip


def _needed(
    metric: MetricSpec, spec: GauntletSpec, levels: Levels, sizes: np.ndarray, worst: float, per_cluster: float
) -> tuple[int, str]:
    """Items that a metric needs, and what the number rests on."""
    rate = metric.expected or 0.0
    power = f"power {levels.power:.2f}"
    if metric.effect is not None:
        inflation = design_effect(sizes.tolist(), spec.icc) if sizes.size else 1.0
        flips = max(rate, metric.effect)
        need = paired_items_needed(_TINY, flips, metric.effect, levels.alpha, levels.power, inflation)
        return need, f"{power} for a gain of {metric.effect:g} with {flips:g} of the items differing"
    kind = KINDS[metric.measure]
    least = {
        "critical": (1, "every case by itself"),
        "latency": (math.ceil(-math.log2(levels.alpha)), "a sign test that all pass"),
        "latency_p95": (latency_tail.FEWEST, "the least for a p95"),
    }.get(metric.measure)
    if least is not None:
        return least
    if kind.scale == "ratio" or metric.measure == "helpfulness":
        return 2, "two clusters to see a spread"
    if kind.scale == "level":
        independent = event_rate.items_needed(rate, metric.margin, levels)
        if independent is None:
            raise ValueError(f"{metric.name}: an expected rate of {rate:g} does not lie within {metric.margin:g}")
        by_cluster = per_cluster if metric.measure == "unsafe" and per_cluster else worst
        words = f"{rate:g} events expected" if rate else "no event expected"
        return math.ceil(independent * by_cluster), f"{power} with {words}"
    exact = accuracy.exact_items_needed(metric.margin, rate, levels)
    normal = paired_items_needed(metric.margin, max(rate, _TINY), 0.0, levels.alpha, levels.power, worst)
    words = f"{rate:g} of the items differing" if rate else "no difference at all"
    return max(math.ceil(exact * worst), normal), f"{power} with {words}"

"""The decision: promote, hold or reject.

PROMOTE if at least one primary metric is shown better (Holm over the primaries) AND every guardrail and every slice is
shown no worse than its margin, each at its own alpha (intersection-union: Berger 1982). REJECT if a metric is shown
worse than its margin (Bonferroni over all metrics). Otherwise HOLD, with the number of items that would settle it.
Scores that cannot be trusted, and metrics that are missing, never promote.
"""

import math
from collections.abc import Sequence

from flywheel.components.contracts.verdict import Decision, MetricResult, Verdict
from flywheel.components.evaluation.finding import Finding
from flywheel.components.evaluation.measures import Missing, Question, answer, questions
from flywheel.components.evaluation.scores import ScoreTable
from flywheel.components.evaluation.spec import KINDS, GauntletSpec, MetricSpec
from flywheel.components.statistics.multiplicity import holm

_WORST = 1e12  # stands for "no limit" in the document, where infinity is not allowed


def decide(table: ScoreTable, spec: GauntletSpec, run_id: str) -> Verdict:
    """Decide on a candidate; a pure function of its arguments.

    Args:
        table: Scores of both models on the same items.
        spec: The pre-registered gauntlet.
        run_id: Run that asks.

    Returns:
        The verdict.
    """
    asked = questions(table, spec)
    protecting = sum(question.metric.role != "primary" for question in asked)
    answers = [answer(table, question, spec, protecting + 1) for question in asked]
    superior = _superiority(asked, answers)
    results = [
        _result(question, found, spec, superior[place], len(asked))
        for place, (question, found) in enumerate(zip(asked, answers, strict=True))
    ]
    missing = [found.reason for found in answers if isinstance(found, Missing)]
    decision = _decision(results, table.problems)
    reasons = [*table.problems, *missing, *_why(results, decision)]
    left_out = [
        metric.name for metric in spec.metrics if metric.name not in {question.metric.name for question in asked}
    ]
    if left_out:
        reasons.append(f"not_asked: optional metrics without items: {', '.join(left_out)}")
    return Verdict(
        run_id=run_id,
        decision=decision,
        reasons=tuple(reasons),
        metrics=tuple(results),
        candidate_digest=table.header.candidate_digest,
        production_digest=table.header.production_digest,
        scores_digest=table.digest,
        spec_digest=spec.digest(),
        error_rate=error_statement(spec, len(asked)),
        n_needed=_further(asked, results) if decision is Decision.HOLD else None,
    )


def error_statement(spec: GauntletSpec, metrics: int) -> str:
    """Say what the decision promises, in words and numbers."""
    alphas = sorted({spec.alpha_of(metric) for metric in spec.metrics})
    alpha = f"{alphas[-1]:g}" if len(alphas) == 1 else f"{alphas[0]:g} to {alphas[-1]:g} (each metric's own)"
    return (
        f"P(promote although some guardrail or slice is truly at or beyond its margin) <= {alpha} "
        "(intersection-union); "
        f"P(promote although no primary metric is truly better) <= {spec.alpha:g} (Holm); "
        f"P(reject although nothing is truly beyond its margin) <= {spec.alpha:g} (Bonferroni over {metrics} metrics). "
        "One-sided, per verdict on fresh items; the unit is the cluster. At the n it asks for, a candidate with the "
        f"stated gain and no loss anywhere is promoted with probability >= {spec.power:g}."
    )


def _superiority(asked: Sequence[Question], answers: Sequence[Finding | Missing]) -> list[float | None]:
    """Holm-adjusted p-values of "better" for the primaries; a missing primary counts as p = 1."""
    places = [place for place, question in enumerate(asked) if question.metric.role == "primary"]
    raw = []
    for place in places:
        found = answers[place]
        p = found.p_superior if isinstance(found, Finding) else None
        raw.append(1.0 if p is None else p)
    adjusted: list[float | None] = [None] * len(asked)
    for place, p in zip(places, holm(raw) if raw else [], strict=True):
        adjusted[place] = p
    return adjusted


def _result(
    question: Question, found: Finding | Missing, spec: GauntletSpec, superior: float | None, claims: int
) -> MetricResult:
    metric, alpha = question.metric, spec.alpha_of(question.metric)
    if isinstance(found, Missing):
        return MetricResult(
            name=question.name,
            role=metric.role,
            direction=metric.direction,
            scale=KINDS[metric.measure].scale,
            n=int(question.rows.size),
            clusters=0,
            production=None,
            candidate=None,
            difference=None,
            lower=None,
            upper=None,
            confidence=1 - 2 * alpha,
            margin=_margin(metric),
            test="",
            p_value=None,
            alpha=alpha,
            outcome="missing",
            reasons=(found.reason,),
        )
    reasons = list(found.reasons)
    if found.n < metric.min_items:
        reasons.append(f"too_few_items: {found.n}, at least {metric.min_items} were registered")
    if found.clusters < metric.min_clusters:
        reasons.append(f"too_few_clusters: {found.clusters}, at least {metric.min_clusters} were registered")
    enough = found.n >= metric.min_items and found.clusters >= metric.min_clusters
    needed = None
    if found.p_harm <= spec.alpha / claims:
        outcome = "inferior"
    elif superior is not None and superior <= alpha and enough:
        outcome = "superior"
    elif superior is None and found.p_safe <= alpha and enough:
        outcome = "non_inferior"
    else:
        outcome = "inconclusive"
        needed = _needed(question, found, reasons)
    return MetricResult(
        name=question.name,
        role=metric.role,
        direction=found.direction,
        scale=found.scale,
        unit=found.unit,
        n=found.n,
        clusters=found.clusters,
        production=found.production,
        candidate=found.candidate,
        difference=found.value,
        lower=max(found.lower, -_WORST),
        upper=min(found.upper, _WORST),
        confidence=1 - 2 * alpha,
        margin=_margin(metric),
        test=found.test,
        p_value=found.p_safe if superior is None else superior,
        alpha=alpha,
        outcome=outcome,
        n_needed=needed,
        reasons=tuple(reasons),
    )


def _margin(metric: MetricSpec) -> float:
    """Worst tolerated value in the metric's own scale: a loss is negative where higher is better."""
    lost = metric.direction == "higher" and KINDS[metric.measure].scale == "difference"
    return 0.0 - metric.margin if lost else metric.margin


def _needed(question: Question, found: Finding, reasons: list[str]) -> int | None:
    """Items in all that an unsettled metric needs; adds the reason when items are not what is missing."""
    need = found.n_needed()
    metric = question.metric
    if need is None:
        reasons.append("more_items_do_not_help: what was seen does not lie inside the margin")
        return None
    per_cluster = found.n / found.clusters
    need = max(need, metric.min_items, math.ceil(metric.min_clusters * per_cluster))
    if need <= found.n:
        reasons.append(f"powered_but_not_shown: {found.n} items were enough for a candidate without loss ({need})")
    return need


def _decision(results: Sequence[MetricResult], problems: Sequence[str]) -> Decision:
    if problems:  # numbers that cannot be trusted neither ship nor condemn
        return Decision.HOLD
    if any(result.outcome == "inferior" for result in results):
        return Decision.REJECT
    safe = all(result.outcome == "non_inferior" for result in results if result.role != "primary")
    better = any(result.outcome == "superior" for result in results if result.role == "primary")
    settled = all(result.outcome != "missing" for result in results)
    return Decision.PROMOTE if safe and better and settled else Decision.HOLD


def _why(results: Sequence[MetricResult], decision: Decision) -> list[str]:
    reasons = []
    for result in results:
        value = f"{_number(result.difference)} [{_number(result.lower)}, {_number(result.upper)}]"
        if result.outcome == "superior":
            reasons.append(f"shown_better: {result.name} {value}, p {result.p_value:.2g}")
        elif result.outcome == "inferior":
            reasons.append(f"shown_worse: {result.name} {value} against a margin of {_number(result.margin)}")
        elif result.outcome == "inconclusive":
            code = "not_shown_better" if result.role == "primary" else "not_shown_safe"
            need = f"; {result.n_needed} items would be needed, {result.n} were there" if result.n_needed else ""
            reasons.append(f"{code}: {result.name} {value} against a margin of {_number(result.margin)}{need}")
            reasons += [f"{reason} ({result.name})" for reason in result.reasons]
    if decision is Decision.PROMOTE:
        guards = sum(result.outcome == "non_inferior" for result in results)
        reasons.append(f"all_guardrails_hold: {guards} of {guards} shown no worse than their margins")
    return reasons


def _further(asked: Sequence[Question], results: Sequence[MetricResult]) -> int | None:
    """Further items that would settle a hold; an item asked for by one suite also serves metrics over more suites."""
    want: dict[frozenset[str], int] = {}
    for question, result in zip(asked, results, strict=True):
        suites = frozenset(question.metric.suites)
        if result.outcome == "missing":
            want[suites] = max(want.get(suites, 0), question.metric.min_items)
        elif result.outcome == "inconclusive" and result.n_needed is not None:
            want[suites] = max(want.get(suites, 0), result.n_needed - result.n)
    given: dict[frozenset[str], int] = {}
    for suites in sorted(want, key=lambda suites: (len(suites), sorted(suites))):
        served = sum(more for part, more in given.items() if part < suites)
        given[suites] = max(0, want[suites] - served)
    return sum(given.values()) or None


def _number(value: float | None) -> str:
    if value is None:
        return "?"
    return "no limit" if abs(value) >= _WORST else f"{value:.3g}"

"""The decision: promote, hold or reject.

PROMOTE if at least one primary metric is shown better (Holm over the primaries) AND every guardrail and every slice is
shown no worse than its margin, each at its own alpha (intersection-union: Berger 1982). REJECT if a metric is shown
worse than its margin (Bonferroni over all metrics). Otherwise HOLD, with the number of items that would settle it.
Scores that cannot be trusted, and metrics that are missing, never promote.
"""

import math
from collections.abc import Sequence

from flywheel.components.contracts.verdict import Decision, MetricResult, Verdict
from flywheel.components.evaluation.metrics.finding import Finding
from flywheel.components.evaluation.metrics.measures import Missing, Question, answer, questions
from flywheel.components.evaluation.scores.scores import ScoreTable
from flywheel.components.evaluation.verdict.plan import further_items
from flywheel.components.evaluation.verdict.spec import KINDS, GauntletSpec, MetricSpec
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
    if table.header.unanswered:
        return _underpowered(table, spec, run_id)
    problems = [*table.problems, *_other_gauntlet(table, spec)]
    asked = questions(table, spec)
    protecting = sum(question.metric.role != "primary" for question in asked)
    answers = [answer(table, question, spec, protecting + 1) for question in asked]
    superior = _superiority(asked, answers)
    results = [
        _result(question, found, spec, superior[place], len(asked))
        for place, (question, found) in enumerate(zip(asked, answers, strict=True))
    ]
    missing = [found.reason for found in answers if isinstance(found, Missing)]
    decision = _decision(results, problems)
    reasons = [*problems, *missing, *_why(results, decision)]
    left_out = [
        metric.name for metric in spec.metrics if metric.name not in {question.metric.name for question in asked}
    ]
    if left_out:
        reasons.append(f"not_asked: optional metrics without items: {', '.join(left_out)}")
    further = _further(asked, results) if decision is Decision.HOLD else None
    return _verdict(table, spec, run_id, decision, reasons, results, further)


def _verdict(
    table: ScoreTable,
    spec: GauntletSpec,
    run_id: str,
    decision: Decision,
    reasons: Sequence[str],
    results: Sequence[MetricResult],
    further: int | None,
) -> Verdict:
    return Verdict(
        run_id=run_id,
        decision=decision,
        reasons=tuple(reasons),
        metrics=tuple(results),
        candidate_digest=table.header.candidate_digest,
        production_digest=table.header.production_digest,
        scores_digest=table.digest,
        spec_digest=spec.digest(),
        error_rate=error_statement(spec, len(results)),
        n_needed=further,
    )


def _other_gauntlet(table: ScoreTable, spec: GauntletSpec) -> list[str]:
    """A gauntlet that was changed after the answers were made is not registered before them."""
    registered = table.header.settings.get("spec_digest")
    if registered in (None, spec.digest()):
        return []
    return [
        f"other_gauntlet: the answers were made for gauntlet {str(registered)[:16]}, this is {spec.digest()[:16]}; "
        "evaluate again after a change of the spec"
    ]


def _underpowered(table: ScoreTable, spec: GauntletSpec, run_id: str) -> Verdict:
    """Hold without an answer: the plan said that there were too few items."""
    planned = table.header.unanswered
    metrics = {metric.name: metric for metric in spec.metrics}
    results, reasons = [], [*table.problems, *_other_gauntlet(table, spec)]
    for one in planned:
        if one.enough:
            why = f"not_answered: {one.name} has enough items ({one.n}), but the gauntlet was not run"
        else:
            why = (
                f"underpowered: {one.name} has {one.n} items in {one.clusters} clusters, {one.needed} items are "
                f"needed ({one.why})"
            )
            reasons.append(why)
        metric = metrics.get(one.name.partition("[")[0])
        if metric is not None:
            needed = None if one.enough else one.needed
            results.append(_missing(one.name, metric, spec, 0, why, needed))
    further = further_items((one.suites, one.needed - one.n) for one in planned if not one.enough)
    return _verdict(table, spec, run_id, Decision.HOLD, reasons, results, further)


def _missing(
    name: str, metric: MetricSpec, spec: GauntletSpec, n: int, reason: str, needed: int | None = None
) -> MetricResult:
    alpha = spec.alpha_of(metric)
    return MetricResult(
        name=name,
        role=metric.role,
        direction=metric.direction,
        scale=KINDS[metric.measure].scale,
        n=n,
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
        n_needed=needed,
        reasons=(reason,),
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
        + (
            " Critical cases are a list and no sample: each is decided by the majority of its answers."
            if any(metric.measure == "critical" for metric in spec.metrics)
            else ""
        )
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
        return _missing(question.name, metric, spec, int(question.rows.size), found.reason)
    reasons = list(found.reasons)
    if found.n < metric.min_items:
        reasons.append(f"too_few_items: {found.n}, at least {metric.min_items} were registered")
    if found.clusters < metric.fewest_clusters:
        reasons.append(f"too_few_clusters: {found.clusters}, at least {metric.fewest_clusters} were registered")
    enough = found.n >= metric.min_items and found.clusters >= metric.fewest_clusters
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
    need = max(need, metric.min_items, math.ceil(metric.fewest_clusters * per_cluster))
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
    """Further items that would settle a hold."""
    wanted = []
    for question, result in zip(asked, results, strict=True):
        if result.outcome == "missing":
            wanted.append((question.metric.suites, question.metric.min_items))
        elif result.outcome == "inconclusive" and result.n_needed is not None:
            wanted.append((question.metric.suites, result.n_needed - result.n))
    return further_items(wanted)


def _number(value: float | None) -> str:
    if value is None:
        return "?"
    return "no limit" if abs(value) >= _WORST else f"{value:.3g}"

"""The verdict as Markdown: what was decided, why, and every number."""

from flywheel.components.contracts.verdict import Decision, MetricResult, Verdict

_HEADLINE = {
    Decision.PROMOTE: "Promote: shown better, and nowhere shown worse than its margin",
    Decision.HOLD: "Hold: not settled",
    Decision.REJECT: "Reject: shown worse than a margin",
}
_MARK = {
    "superior": "▲ better",
    "non_inferior": "● no worse",
    "inconclusive": "◌ not settled",
    "inferior": "▼ worse",
    "missing": "– missing",
}


def summary_markdown(verdict: Verdict) -> str:
    """Render the verdict.

    Args:
        verdict: The verdict.

    Returns:
        Markdown with a headline, the reasons, a table of the metrics and the promise of the decision.
    """
    lines = [f"# {_HEADLINE[verdict.decision]}", ""]
    if verdict.n_needed:
        lines += [f"About **{verdict.n_needed} further items** would settle it.", ""]
    lines += [f"- {_escape(reason)}" for reason in verdict.reasons]
    lines += [
        "",
        "| metric | role | production | candidate | difference [interval] | margin | n (clusters) | outcome |",
        "|---|---|---:|---:|---|---:|---:|---|",
    ]
    lines += [_row(metric) for metric in verdict.metrics]
    lines += [
        "",
        f"Promise: {verdict.error_rate}",
        "",
        f"Scores `{verdict.scores_digest[:16]}` · gauntlet `{verdict.spec_digest[:16]}` · "
        f"candidate `{verdict.candidate_digest[:16]}` · production `{verdict.production_digest[:16]}`. "
        "`flywheel verdict recompute` gives the same bytes from the scores.",
        "",
    ]
    return "\n".join(lines)


def number(value: float | None, metric: MetricResult, signed: bool = False) -> str:
    """Render a value in the way of its metric: ratios as ×1.02, rates in percent, differences in points."""
    if value is None:
        return "–"
    if abs(value) >= 1e12:
        return "∞" if value > 0 else "−∞"
    if metric.scale == "ratio":
        return f"×{value:.2f}"
    text = f"{value * 100:+.1f}" if signed and metric.scale == "difference" else f"{value * 100:.1f}"
    text = text.replace("-", "−")
    return f"{text} pt" if metric.scale == "difference" else f"{text} %"


def estimate(value: float | None, metric: MetricResult) -> str:
    """Render one model's estimate: a share in percent, or a quantity in its unit."""
    if value is None:
        return "–"
    if metric.scale == "ratio":
        return f"{value:.1f}"
    return f"{value * 100:.1f} %"


def _row(metric: MetricResult) -> str:
    change = f"{number(metric.difference, metric, True)} [{number(metric.lower, metric, True)}, "
    change += f"{number(metric.upper, metric, True)}]"
    cells = [
        metric.name,
        metric.role,
        estimate(metric.production, metric),
        estimate(metric.candidate, metric),
        change if metric.difference is not None else "–",
        number(metric.margin, metric, True),
        f"{metric.n} ({metric.clusters})",
        _MARK[metric.outcome] + (f", needs {metric.n_needed}" if metric.n_needed else ""),
    ]
    return "| " + " | ".join(_escape(cell) for cell in cells) + " |"


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")

"""The A/B verdict as one self-contained HTML page: the decision, who was compared, and each metric's interval."""

import math
from html import escape
from pathlib import Path

from flywheel.components.contracts.ab import AbMetric, AbVerdict
from flywheel.components.deployment.page_file import page, write_page

_WIDTH, _HEIGHT, _PAD = 320, 34, 10
_STYLE = """
:root{color-scheme:light dark;--ink:#1d2733;--soft:#66758a;--grid:#dfe5ec;--page:#fff;--line:#2563eb;--zone:#eef2f7;
--good:#15803d;--bad:#c2261f;--wait:#b45309}
@media(prefers-color-scheme:dark){:root{--ink:#e6ebf2;--soft:#94a3b8;--grid:#2b3646;--page:#111823;--line:#7aa7ff;
--zone:#1c2635;--good:#4ade80;--bad:#f87171;--wait:#fbbf24}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:1000px;margin:24px auto;
padding:0 16px}h1{font-size:21px;margin:0 0 4px}h2{font-size:15px;margin:22px 0 4px}p{margin:4px 0}
.soft{color:var(--soft)}
.a_better,.b_better{color:var(--line)}.equivalent{color:var(--good)}.refused{color:var(--bad)}
.unsettled,.unclear,.missing{color:var(--wait)}table{border-collapse:collapse;font-size:13px;width:100%}
td,th{padding:5px 12px 5px 0;text-align:left;border-bottom:1px solid var(--grid);vertical-align:middle}
td.n,th.n{text-align:right;white-space:nowrap}svg{display:block;width:320px;height:34px}
.zone{fill:var(--zone)}.neutral{stroke:var(--soft);stroke-dasharray:2 3}.wide{stroke:var(--line);stroke-width:2}
.own{stroke:var(--line);stroke-width:7;opacity:.35}.dot{fill:var(--line)}text{fill:var(--soft);font-size:10px}
"""
_WORDS = {
    "a_better": "A is better",
    "b_better": "B is better",
    "equivalent": "equivalent",
    "unsettled": "not settled yet",
    "refused": "refused",
    "unclear": "not settled",
    "missing": "not measured",
}
_TITLES = {
    "fewer_complaints": "Turns with any bad sign",
    "more_engagement": "Turns per user",
    "bad_feedback": "Thumbs down or corrected",
    "dissatisfaction": "Asked again or left",
    "feedback_rate": "Rated without complaint",
    "errors": "Server errors",
    "latency": "Latency, geometric mean",
    "latency_p95": "Slower than A's first 95th percentile",
    "cost": "Length of the answer, geometric mean",
}


def render(verdict: AbVerdict) -> str:
    """Draw a verdict.

    Args:
        verdict: The verdict.

    Returns:
        One HTML document without scripts or references to anything outside.
    """
    parts = [
        f"<h1>A/B of two live versions: <span class={verdict.decision}>{_WORDS[verdict.decision]}</span></h1>",
        *(f"<p>{escape(reason)}</p>" for reason in verdict.reasons),
        f"<p class=soft>A = {escape(verdict.version_a[:16])}, B = {escape(verdict.version_b[:16])}; "
        f"{verdict.share_b:.0%} of the users were promised B. Error rates: {escape(verdict.error_rate)}.</p>",
        _users(verdict),
    ]
    for role, title in (("goal", "Goals"), ("guardrail", "Guardrails")):
        metrics = [metric for metric in verdict.metrics if metric.role == role]
        if metrics:
            parts.append(f"<h2>{title}</h2>{_table(metrics)}")
    if verdict.metrics:
        parts.append(
            "<p class=soft>Line: limits of B against A that hold at every look and share alpha with all metrics (they "
            "name a winner). Thick: limits with alpha of their own (no worse, equivalent). Grey zone: inside the "
            "margin. Further right is worse for B.</p>"
        )
    return page("A/B verdict", _STYLE, parts)


def write(verdict: AbVerdict, path: str | Path) -> None:
    """Write the page so that a reader sees the old one or the whole new one."""
    write_page(render(verdict), path)


def _users(verdict: AbVerdict) -> str:
    if not verdict.users:
        return ""
    since, until = (f"{at:%Y-%m-%d %H:%M}" if at else "?" for at in (verdict.since, verdict.until))
    rows = "".join(
        f"<tr><td>{label}</td><td class=n>{verdict.users[name]:,}</td><td class=n>{verdict.matured[name]:,}</td>"
        f"<td class=n>{verdict.turns[name]:,}</td></tr>"
        for label, name in (("A", "a"), ("B", "b"))
    )
    return (
        "<h2>Users</h2><table><tr><th>version</th><th class=n>users</th><th class=n>old enough to be compared</th>"
        f"<th class=n>turns</th></tr>{rows}</table><p class=soft>{since} to {until} UTC; {verdict.contaminated:,} "
        "users met both versions.</p>"
    )


def _table(metrics: list[AbMetric]) -> str:
    head = "".join(
        f"<th{' class=n' if number else ''}>{name}</th>"
        for name, number in (("metric", 0), ("A", 1), ("B", 1), ("B against A", 1), ("", 0), ("", 0))
    )
    return f"<table><tr>{head}</tr>{''.join(map(_row, metrics))}</table>"


def _row(metric: AbMetric) -> str:
    title = _TITLES.get(metric.name, metric.name.replace("_", " "))
    direction = "less is better" if metric.better == "lower" else "more is better"
    return (
        f"<tr><td>{escape(title)}<br><span class=soft>{escape(metric.name)}, {direction}</span></td>"
        f"<td class=n>{_level(metric, metric.a)}</td><td class=n>{_level(metric, metric.b)}</td>"
        f"<td class=n>{_change(metric, metric.difference)}<br><span class=soft>{_change(metric, metric.lower)} to "
        f"{_change(metric, metric.upper)}</span></td><td>{_interval(metric)}</td>"
        f"<td class={metric.outcome}>{_WORDS[metric.outcome]}</td></tr>"
    )


def _level(metric: AbMetric, value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}" if metric.scale == "ratio" else f"{value:.2%}"


def _change(metric: AbMetric, value: float | None) -> str:
    if value is None:
        return "–"
    text = f"×{value:.3f}" if metric.scale == "ratio" else f"{100 * value:+.2f} pt"
    return text.replace("-", "−")


def _interval(metric: AbMetric) -> str:
    """The interval on a scale on which 0 is no change, and worse for B lies to the right."""
    if metric.difference is None:
        return "<span class=soft>no value in at least one version</span>"
    sign = 1.0 if metric.better == "lower" else -1.0

    def place(value: float | None) -> float | None:
        if value is None:
            return None
        return sign * (math.log(max(value, 1e-9)) if metric.scale == "ratio" else value)

    margin = math.log1p(metric.margin) if metric.scale == "ratio" else metric.margin
    ends = [place(value) for value in (metric.lower, metric.upper, metric.difference)]
    reach = min(max([2 * margin, *(abs(end) for end in ends if end is not None)]), 60 * margin) * 1.05

    def x(value: float) -> float:
        return _PAD + (min(max(value, -reach), reach) + reach) / (2 * reach) * (_WIDTH - 2 * _PAD)

    middle = _HEIGHT / 2
    parts = [
        f'<rect class=zone x="{x(-margin):.1f}" width="{x(margin) - x(-margin):.1f}" y="4" height="{_HEIGHT - 8}"/>',
        f'<line class=neutral x1="{x(0):.1f}" x2="{x(0):.1f}" y1="2" y2="{_HEIGHT - 2}"/>',
    ]
    for class_, low, high in (("own", metric.own_lower, metric.own_upper), ("wide", metric.lower, metric.upper)):
        first, second = place(low), place(high)
        if first is not None and second is not None:
            parts.append(f'<line class={class_} x1="{x(first):.1f}" x2="{x(second):.1f}" y1="{middle}" y2="{middle}"/>')
    at = place(metric.difference)
    parts.append(f'<circle class=dot r=4 cx="{x(at or 0.0):.1f}" cy="{middle}"/>')
    label = f"{metric.name}: B against A with limits and margin"
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role=img aria-label="{escape(label)}">{"".join(parts)}</svg>'

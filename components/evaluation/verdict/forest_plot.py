"""The verdict as a forest plot: one self-contained HTML page, inline SVG, no script, no network, light and dark."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from html import escape

from flywheel.components.contracts.verdict import MetricResult, Verdict
from flywheel.components.evaluation.verdict.summary_markdown import estimate, number

_WIDTH, _LEFT, _RIGHT, _ROW, _TOP, _SLIM = 980, 310, 610, 46, 34, 24
_WORDS = {
    "superior": "shown better",
    "non_inferior": "shown no worse",
    "inconclusive": "not settled",
    "inferior": "shown worse",
    "missing": "missing",
}
_WORRY = ("inferior", "missing", "inconclusive", "non_inferior", "superior")
_ROLES = {"primary": "Must get better", "guardrail": "Must not get worse", "slice": "Must not get worse anywhere"}
_DECIDED = {"promote": "Promote", "hold": "Hold", "reject": "Reject"}

_STYLE = """
:root{--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--page:#fff;--panel:#f6f8fa;--superior:#1a7f37;--non_inferior:#0969da;
--inconclusive:#9a6700;--inferior:#cf222e;--missing:#6e7781;--promote:#1a7f37;--hold:#9a6700;--reject:#cf222e}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9198a1;--line:#3d444d;--page:#0d1117;--panel:#151b23;
--superior:#3fb950;--non_inferior:#4493f8;--inconclusive:#d29922;--inferior:#f85149;--missing:#9198a1;--promote:#3fb950;
--hold:#d29922;--reject:#f85149}}
body{margin:0;padding:28px;background:var(--page);color:var(--ink);font:14px/1.5 system-ui,-apple-system,"Segoe UI",
Roboto,sans-serif}main{max-width:1000px;margin:auto}h1{font-size:22px;margin:0 0 4px}p{margin:6px 0}
.badge{display:inline-block;padding:2px 12px;border-radius:999px;color:var(--page);font-weight:600;margin-right:10px}
.soft{color:var(--soft)}.panel{background:var(--panel);border:1px solid var(--line);border-radius:10px;margin:18px 0;
padding:14px 18px}ul{margin:6px 0;padding-left:20px}code{font-size:12px}svg{width:100%;height:auto;display:block}
svg text{fill:var(--ink);font-size:13px}svg .soft{fill:var(--soft);font-size:11.5px}
svg .head{font-weight:600}svg .slim{font-size:12px}
"""


def forest_plot(verdict: Verdict) -> str:
    """Draw the verdict.

    Every row has its own scale, chosen so that the margin stands at the same place in all rows: left of the red tick is
    worse than tolerated, whatever the unit.

    Args:
        verdict: The verdict.

    Returns:
        An HTML page.
    """
    decision = str(verdict.decision)
    needed = f"<p>About <b>{verdict.n_needed} further items</b> would settle it.</p>" if verdict.n_needed else ""
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in verdict.reasons)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Verdict: {escape(decision)}</title><style>{_STYLE}</style></head><body><main>"
        f'<h1><span class="badge" style="background:var(--{decision})">{_DECIDED[decision]}</span>'
        "Candidate against production</h1>"
        f'<p class="soft">Run {escape(verdict.run_id)} · same items, both models · intervals are one-sided limits at '
        f"each metric's alpha</p>{needed}"
        f'<div class="panel">{forest_svg(verdict.metrics)}</div>'
        f'<div class="panel"><b>Why</b><ul>{reasons}</ul></div>'
        f'<p class="soft">{escape(verdict.error_rate)}</p>'
        f'<p class="soft">scores <code>{escape(verdict.scores_digest[:16])}</code> · gauntlet '
        f"<code>{escape(verdict.spec_digest[:16])}</code> · candidate "
        f"<code>{escape(verdict.candidate_digest[:16])}</code> · production "
        f"<code>{escape(verdict.production_digest[:16])}</code></p></main></body></html>\n"
    )


def forest_svg(metrics: Sequence[MetricResult]) -> str:
    """Draw the metrics as an SVG that can stand in any page which defines the colours as CSS variables.

    Args:
        metrics: Metrics in the order to draw, grouped by role; slices in slim rows, what is not shown safe first.

    Returns:
        An `<svg>` element.
    """
    parts: list[str] = []
    y = _TOP
    for role, words in _ROLES.items():
        rows = [metric for metric in metrics if metric.role == role]
        if not rows:
            continue
        parts.append(f'<text class="head" x="0" y="{y}">{words}</text>')
        if role == "slice":
            drawn, y = _slices(rows, y)
            parts.append(drawn)
            continue
        for metric in rows:
            y += _ROW
            parts.append(_row(metric, y))
        y += _ROW
    head = (
        f'<text class="soft" x="{_LEFT}" y="12">worse</text>'
        f'<text class="soft" x="{_RIGHT}" y="12" text-anchor="end">better</text>'
        f'<text class="soft" x="{_RIGHT + 30}" y="12">candidate against production</text>'
        f'<text class="soft" x="{_WIDTH}" y="12" text-anchor="end">outcome</text>'
    )
    return f'<svg viewBox="0 0 {_WIDTH} {y - 10}" role="img" aria-label="forest plot">{head}{"".join(parts)}</svg>'


def _slices(rows: Sequence[MetricResult], y: int) -> tuple[str, int]:
    """Draw slices in slim rows under the name of their metric, the most worrying first."""
    groups: dict[str, list[MetricResult]] = {}
    for metric in rows:
        groups.setdefault(metric.name.partition("[")[0], []).append(metric)
    parts: list[str] = []
    worst = {name: min(_WORRY.index(metric.outcome) for metric in members) for name, members in groups.items()}
    for name, members in sorted(groups.items(), key=lambda group: worst[group[0]]):
        y += _ROW
        counts = Counter(metric.outcome for metric in members)
        told = ", ".join(f"{counts[outcome]} {_WORDS[outcome]}" for outcome in _WORRY if counts[outcome])
        first = members[0]
        parts.append(
            f'<text x="0" y="{y - 8}">{escape(name)}</text>'
            f'<text class="soft" x="0" y="{y + 8}">{escape(_short(first.unit))}</text>'
            f'<text class="soft" x="{_WIDTH}" y="{y - 8}" text-anchor="end">{told}</text>'
        )
        x = next((_margin_place(metric) for metric in members if metric.difference is not None), None)
        if x is not None:
            label = number(first.margin, first)
            parts.append(f'<text class="soft" x="{x:.1f}" y="{y + 8}" text-anchor="middle">{label}</text>')
        y += 8
        for metric in sorted(members, key=lambda metric: _WORRY.index(metric.outcome)):
            y += _SLIM
            parts.append(_slim_row(metric, y))
        y += 12
    return "".join(parts), y + _ROW


def _slim_row(metric: MetricResult, y: int) -> str:
    value = metric.name.partition("[")[2].removesuffix("]") or metric.name
    size = f"n {metric.n}" + (f" ({metric.clusters})" if metric.clusters else "")
    need = f", needs {metric.n_needed}" if metric.n_needed else ""
    parts = [
        f'<text class="slim" x="14" y="{y - 2}">{escape(_short(value, 30))}</text>'
        f'<text class="soft" x="{_LEFT - 16}" y="{y - 2}" text-anchor="end">{size}</text>'
        f'<line x1="{_LEFT}" x2="{_RIGHT}" y1="{y - 6}" y2="{y - 6}" stroke="var(--line)"/>'
        f'<text class="slim" x="{_WIDTH}" y="{y - 2}" text-anchor="end" style="fill:var(--{metric.outcome})">'
        f"{_WORDS[metric.outcome]}{need}</text>"
    ]
    if metric.difference is not None and metric.lower is not None and metric.upper is not None:
        limits = f"{number(metric.lower, metric, True)} to {number(metric.upper, metric, True)}"
        parts.append(
            f'<text class="slim" x="{_RIGHT + 30}" y="{y - 2}">{number(metric.difference, metric, True)}'
            f'<tspan class="soft" dx="6">{limits}</tspan></text>{_interval(metric, y, 8, "")}'
        )
    return "".join(parts)


def _row(metric: MetricResult, y: int) -> str:
    colour = f"var(--{metric.outcome})"
    size = f"n {metric.n}" + (f", {metric.clusters} clusters" if metric.clusters else "")
    described = f"{size} · {metric.unit}" if metric.unit else size
    models = f"{estimate(metric.candidate, metric)} vs {estimate(metric.production, metric)}"
    parts = [
        f'<text x="0" y="{y - 8}">{escape(metric.name)}</text>',
        f'<text class="soft" x="0" y="{y + 8}">{escape(_short(described))}</text>',
        f'<line x1="{_LEFT}" x2="{_RIGHT}" y1="{y - 6}" y2="{y - 6}" stroke="var(--line)"/>',
        f'<text x="{_WIDTH}" y="{y - 8}" text-anchor="end" style="fill:{colour};font-weight:600">'
        f"{_WORDS[metric.outcome]}</text>",
    ]
    if metric.n_needed:
        parts.append(f'<text class="soft" x="{_WIDTH}" y="{y + 8}" text-anchor="end">needs {metric.n_needed}</text>')
    if metric.difference is None or metric.lower is None or metric.upper is None:
        return "".join(parts)
    limits = f"{number(metric.lower, metric, True)} to {number(metric.upper, metric, True)}"
    parts += [
        f'<text x="{_RIGHT + 30}" y="{y - 8}">{number(metric.difference, metric, True)}'
        f'<tspan class="soft" dx="6">{limits}</tspan></text>',
        f'<text class="soft" x="{_RIGHT + 30}" y="{y + 8}">{models}</text>',
        _interval(metric, y, 14, number(metric.margin, metric)),
    ]
    return "".join(parts)


def _interval(metric: MetricResult, y: int, tall: int, label: str) -> str:
    """Draw estimate, limits, the line of no difference and the margin with its label around the height y - 6."""
    if metric.difference is None or metric.lower is None or metric.upper is None:
        return ""
    place = _scale(metric, metric.lower, metric.upper)
    ends = sorted((place(metric.lower), place(metric.upper)))
    limits = f"{number(metric.lower, metric, True)} to {number(metric.upper, metric, True)}"
    title = (
        f"{metric.name}: {number(metric.difference, metric, True)}, {limits}, margin {number(metric.margin, metric)}"
    )
    colour = f"var(--{metric.outcome})"
    parts = [
        f'<g stroke="{colour}" fill="{colour}"><title>{escape(title)}</title>'
        f'<line x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" y1="{y - 6}" y2="{y - 6}" stroke-width="3" '
        'stroke-linecap="round"/>'
        f'<circle cx="{place(metric.difference):.1f}" cy="{y - 6}" r="{5.5 if tall > 10 else 4}"/>'
        f"{_beyond(ends, y - 6)}</g>",
    ]
    neutral = 1.0 if metric.scale == "ratio" else 0.0
    if metric.scale != "level":
        x = place(neutral)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 6 - tall}" y2="{y - 6 + tall}" stroke="var(--soft)" '
            'stroke-dasharray="2 3"/>'
        )
    if metric.margin is not None and metric.margin != neutral:
        x = place(metric.margin)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 6 - tall * 5 // 7}" y2="{y - 6 + tall * 5 // 7}" '
            'stroke="var(--inferior)" stroke-width="2"/>'
        )
        if label:
            parts.append(f'<text class="soft" x="{x:.1f}" y="{y + 16}" text-anchor="middle">{label}</text>')
    return "".join(parts)


def _margin_place(metric: MetricResult) -> float | None:
    if metric.margin is None or metric.lower is None or metric.upper is None:
        return None
    return _scale(metric, metric.lower, metric.upper)(metric.margin)


def _scale(metric: MetricResult, lower: float, upper: float) -> Callable[[float], float]:
    """Return the function from a value to its x: better is right, the margin stands a quarter from the left."""
    towards = 1.0 if metric.direction == "higher" else -1.0
    ratio = metric.scale == "ratio"
    neutral = 1.0 if ratio else 0.0

    def gain(value: float) -> float:
        return towards * (math.log(max(value, 1e-9)) if ratio else value - neutral)

    reach = abs(gain(metric.margin)) if metric.margin else 0.0
    if reach == 0:
        reach = max(abs(gain(lower)), abs(gain(upper)), 1e-9)
    unit = (_RIGHT - _LEFT) / 4 / reach
    zero = _LEFT + (_RIGHT - _LEFT) / 2

    def place(value: float) -> float:
        return min(max(zero + gain(value) * unit, _LEFT), _RIGHT)

    return place


def _beyond(ends: Sequence[float], y: int) -> str:
    """Draw arrow heads where the interval goes on beyond the axis."""
    heads = [(_LEFT, -9)] if ends[0] <= _LEFT else []
    heads += [(_RIGHT, 9)] if ends[1] >= _RIGHT else []
    return "".join(f'<path d="M{x} {y - 6}l{reach} 6l{-reach} 6z"/>' for x, reach in heads)


def _short(text: str, longest: int = 48) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"

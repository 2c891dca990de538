"""The ramp as one self-contained HTML page: shares per look, and every guardrail with its limits and margins."""

import math
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from flywheel.components.contracts.rollout import CanaryMetric, Look, RolloutState
from flywheel.components.deployment.page_file import page, write_page

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 860, 190, 72, 16, 14, 30
_STYLE = """
:root{color-scheme:light dark;--ink:#1d2733;--soft:#66758a;--grid:#dfe5ec;--page:#fff;--line:#2563eb;--band:#93b4f5;
--good:#15803d;--bad:#c2261f;--wait:#b45309}
@media(prefers-color-scheme:dark){:root{--ink:#e6ebf2;--soft:#94a3b8;--grid:#2b3646;--page:#111823;--line:#7aa7ff;
--band:#33508c;--good:#4ade80;--bad:#f87171;--wait:#fbbf24}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:900px;margin:24px auto;
padding:0 16px}
h1{font-size:21px;margin:0 0 4px}h2{font-size:15px;margin:22px 0 2px}p{margin:4px 0}.soft{color:var(--soft)}
.promote{color:var(--good)}.rollback{color:var(--bad)}.hold,.running{color:var(--wait)}
svg{width:100%;height:auto;display:block}text{fill:var(--soft);font-size:11px}.axis{stroke:var(--grid)}
.zero{stroke:var(--soft);stroke-dasharray:2 3}.margin{stroke:var(--bad);stroke-dasharray:6 4;fill:none;stroke-width:1.4}
.band{fill:var(--band);opacity:.45}.line{fill:none;stroke:var(--line);stroke-width:2}.dot{fill:var(--line)}
.share{fill:var(--band);opacity:.6}table{border-collapse:collapse;font-size:13px;margin-top:6px}
td,th{padding:3px 10px 3px 0;text-align:left;border-bottom:1px solid var(--grid)}td.n{text-align:right}
"""
_TITLES = {
    "bad_feedback": "Thumbs down or corrected, share of a user's turns",
    "dissatisfaction": "Asked again or left, share of a user's turns",
    "feedback_rate": "Rated without complaint, share of a user's turns (more is better)",
    "engagement": "Turns per user (more is better)",
    "errors": "Server errors, share of a user's turns",
    "latency": "Latency, geometric mean",
    "latency_p95": "Turns slower than production's first 95th percentile",
    "cost": "Length of the answer, geometric mean",
    "fewer_complaints": "Goal: fewer turns with any bad sign",
    "more_engagement": "Goal: more turns per user",
}


def render(state: RolloutState) -> str:
    """Draw a rollout.

    Args:
        state: The rollout.

    Returns:
        One HTML document without scripts or references to anything outside.
    """
    looks = state.looks
    words = {"promote": "promoted", "rollback": "rolled back", "hold": "held", "running": "still running"}
    parts = [
        f"<h1>Canary of {escape(state.service)}: <span class={state.decision}>{words[state.decision]}</span></h1>",
        *(f"<p>{escape(reason)}</p>" for reason in state.reasons),
        f"<p class=soft>Candidate {escape(state.candidate_digest[:12])}, production "
        f"{escape(state.production_digest[:12])}. Error rates: {escape(state.error_rate)}.</p>",
    ]
    if looks:
        parts.append("<h2>Share of the users on the candidate</h2>" + _shares(looks))
        for name in dict.fromkeys(metric.name for look in looks for metric in look.metrics):
            parts.append(f"<h2>{escape(_TITLES.get(name, name))}</h2>" + _metric(name, looks))
        parts.append(_table(looks[-1]))
    else:
        parts.append("<p>No look was taken.</p>")
    return page("Canary ramp", _STYLE, parts)


def write(state: RolloutState, path: str | Path) -> None:
    """Write the page so that a reader sees the old one or the whole new one."""
    write_page(render(state), path)


def _requests(look: Look) -> int:
    return sum(look.requests.values())


def _frame(
    looks: Sequence[Look], low: float, high: float, unit: str
) -> tuple[str, Callable[[float], float], Callable[[float], float]]:
    last = max(_requests(looks[-1]), 1)
    span = high - low or 1.0

    def across(requests: float) -> float:
        return _LEFT + requests / last * (_WIDTH - _LEFT - _RIGHT)

    def up(value: float) -> float:
        clipped = min(max(value, low), high)
        return _HEIGHT - _BOTTOM - (clipped - low) / span * (_HEIGHT - _TOP - _BOTTOM)

    lines = []
    for value in _ticks(low, high):
        y = up(value)
        lines.append(f'<line class=axis x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_label(value, unit)}</text>')
    for part in range(5):
        requests = last * part / 4
        lines.append(
            f'<text x="{across(requests):.1f}" y="{_HEIGHT - 10}" text-anchor="middle">{requests:,.0f}'
            f"{' requests' if part == 4 else ''}</text>".replace(
                'text-anchor="middle"', 'text-anchor="end"' if part == 4 else 'text-anchor="middle"'
            )
        )
    return "".join(lines), across, up


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers inside a range, three to seven of them."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    return [number * step for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _label(value: float, unit: str) -> str:
    if unit == "share":
        return f"{value:.0%}"
    if unit == "ratio":
        return f"{value:.2f}x"
    return "0" if abs(value) < 1e-9 else f"{100 * value:+.1f} pt".replace("-", "\N{MINUS SIGN}")


def _svg(content: str, label: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role=img aria-label="{escape(label)}">{content}</svg>'


def _shares(looks: Sequence[Look]) -> str:
    frame, across, up = _frame(looks, 0.0, 1.0, "share")
    before, bars = 0.0, []
    for look in looks:
        x, end = across(before), across(_requests(look))
        y = up(look.share)
        bars.append(
            f'<rect class=share x="{x:.1f}" width="{max(end - x, 0.5):.1f}" y="{y:.1f}" '
            f'height="{_HEIGHT - _BOTTOM - y:.1f}"><title>{look.share:.0%}: {look.action}, '
            f"{escape('; '.join(look.reasons))}</title></rect>"
        )
        before = _requests(look)
    return _svg(frame + "".join(bars), "share of the users on the candidate over requests")


def _metric(name: str, looks: Sequence[Look]) -> str:
    points = [(_requests(look), metric) for look in looks for metric in look.metrics if metric.name == name]
    known = [(at, metric) for at, metric in points if metric.difference is not None]
    if not known:
        return "<p class=soft>No value in at least one arm.</p>"
    ratio, guard = known[0][1].scale == "ratio", known[0][1].role == "guardrail"  # a goal has no margin to keep
    neutral = 1.0 if ratio else 0.0
    low, high = _range([metric for _, metric in known], neutral, ratio)
    frame, across, up = _frame(looks, low, high, "ratio" if ratio else "difference")
    bounded = [(at, metric) for at, metric in known if metric.lower is not None and metric.upper is not None]
    ring = [f"{across(at):.1f},{up(metric.upper or 0.0):.1f}" for at, metric in bounded]
    ring += [f"{across(at):.1f},{up(metric.lower or 0.0):.1f}" for at, metric in reversed(bounded)]
    line = " ".join(f"{across(at):.1f},{up(metric.difference or 0.0):.1f}" for at, metric in known)
    steps = _stairs(
        [
            (across(at), up(metric.margin))
            for at, metric in known
            if low <= metric.margin <= high and guard and metric.margin != 0
        ]
    )
    end = known[-1]
    content = (
        frame
        + f'<polygon class=band points="{" ".join(ring)}"/>'
        + f'<line class=zero x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{up(neutral):.1f}" y2="{up(neutral):.1f}"/>'
        + f'<polyline class=margin points="{steps}"/><polyline class=line points="{line}"/>'
        + f'<circle class=dot r=3.5 cx="{across(end[0]):.1f}" cy="{up(end[1].difference or 0.0):.1f}"/>'
    )
    return _svg(content, f"{name} over requests; band: limits valid at every look; dashed: margin of the step")


def _stairs(points: Sequence[tuple[float, float]]) -> str:
    """Points of a line that changes at once: a margin holds from the look before it to its own."""
    corners: list[str] = []
    for (x, y), (before, _) in zip(points, [points[0], *points[:-1]] if points else [], strict=True):
        corners += [f"{before:.1f},{y:.1f}", f"{x:.1f},{y:.1f}"]
    return " ".join(corners)


def _range(known: Sequence[CanaryMetric], neutral: float, ratio: bool) -> tuple[float, float]:
    """Wide enough for the estimates, the last margin and the later limits; early limits are wide and may leave it."""
    margin = known[-1].margin if known[-1].role == "guardrail" and known[-1].margin != 0 else neutral
    values = [neutral, margin, *(metric.difference for metric in known[len(known) // 4 :])]
    values += [value for metric in known[len(known) // 3 :] for value in (metric.lower, metric.upper)]
    least, most = (0.0, 4.0) if ratio else (-1.0, 1.0)
    finite = [min(max(value, least), most) for value in values if value is not None and math.isfinite(value)]
    room = max(max(finite) - min(finite), 0.01) * 0.08
    return min(finite) - room, max(finite) + room


def _table(look: Look) -> str:
    def cell(value: float | None) -> str:
        return "<td class=n>–</td>" if value is None else f"<td class=n>{value:.3f}</td>"

    def row(metric: CanaryMetric) -> str:
        numbers = (metric.production, metric.candidate, metric.difference, metric.lower, metric.upper, metric.margin)
        return f"<tr><td>{escape(metric.name)}</td>{''.join(map(cell, numbers))}<td>{metric.outcome}</td></tr>"

    users = ", ".join(f"{count} on {escape(arm)}" for arm, count in look.users.items())
    head = "".join(
        f"<th>{name}</th>"
        for name in ("metric", "production", "candidate", "difference", "lower", "upper", "margin", "outcome")
    )
    return (
        f"<h2>Last look</h2><p class=soft>{users} (matured users); band: limits that hold at every look; dashed: "
        f"margin of the step.</p><table><tr>{head}</tr>{''.join(map(row, look.metrics))}</table>"
    )

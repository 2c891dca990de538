"""The canary's ramp: share of the users on the candidate, and each guardrail with its limits and its margin."""

from typing import Any

from flywheel.components.report.charts.svg import canvas, linear, path, tag, ticks, title, words

_WIDTH, _LEFT, _RIGHT = 1180.0, 64.0, 150.0
_NAMES = {
    "bad_feedback": "bad feedback, candidate − production",
    "errors": "errors, candidate − production",
    "latency": "latency, candidate ÷ production",
}


def ramp_chart(looks: list[dict[str, Any]]) -> str:
    """Draw the looks of a rollout over the requests answered.

    Args:
        looks: Looks as JSON values (`rollout.Look`), at least one.

    Returns:
        An `<svg>` element.
    """
    requests = [sum(look["requests"].values()) for look in looks]
    names = list(dict.fromkeys(metric["name"] for look in looks for metric in look["metrics"]))
    drawn = [name for name in names if _known(looks, requests, name)]
    share_height, height = 120.0, 150.0
    total = 30 + share_height + sum(height for _ in drawn) + 26
    x = linear(0.0, max(requests[-1], 1), _LEFT, _WIDTH - _RIGHT)
    parts = [*_shares(looks, requests, x, 22.0, share_height - 30)]
    top = 30 + share_height
    for name in drawn:
        parts += _metric(name, _known(looks, requests, name), x, top, height - 44)
        top += height
    for value in ticks(0, requests[-1], 6):
        parts.append(words(x(value), total - 6, f"{value:,.0f}", class_="tick", text_anchor="middle"))
    parts.append(words(_WIDTH - _RIGHT + 12, total - 6, "requests", class_="tick"))
    return canvas(_WIDTH, total, "share of the users on the candidate and guardrails over requests", *parts)


def _shares(looks: list[dict[str, Any]], requests: list[int], x: Any, top: float, height: float) -> list[str]:
    up = linear(0.0, 1.0, top + height, top)
    parts = [words(_LEFT, top - 8, "share of users on the candidate", class_="label")]
    for value in (0.0, 0.5, 1.0):
        parts.append(tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=up(value), y2=up(value), class_="grid"))
        parts.append(words(_LEFT - 8, up(value) + 4, f"{value:.0%}", class_="tick", text_anchor="end"))
    before, last = 0.0, -1.0
    for look, end in zip(looks, requests, strict=True):
        tip = f"{look['share']:.0%} of users: {look['action']} {'; '.join(look['reasons'])}"
        parts.append(
            tag("rect", title(tip), x=x(before), y=up(look["share"]), width=max(x(end) - x(before) + 0.3, 1.0),
                height=top + height - up(look["share"]), class_=f"share {look['action']}")
        )  # fmt: skip
        if look["share"] != last:
            parts.append(
                words(x(before) + 3, max(up(look["share"]) - 4, top + 3), f"{look['share']:.0%}", class_="count")
            )
        before, last = end, look["share"]
    final = looks[-1]["action"]
    verb = {"advance": "advanced", "rollback": "rolled back", "hold": "held"}.get(final, final)
    parts.append(words(_WIDTH - _RIGHT + 12, top + 14, verb, class_=f"verb {final}"))
    return parts


def _known(looks: list[dict[str, Any]], requests: list[int], name: str) -> list[tuple[int, dict[str, Any]]]:
    return [
        (at, metric)
        for at, look in zip(requests, looks, strict=True)
        for metric in look["metrics"]
        if metric["name"] == name and None not in (metric["difference"], metric["lower"], metric["upper"])
    ]


def _metric(name: str, known: list[tuple[int, dict[str, Any]]], x: Any, top: float, height: float) -> list[str]:
    ratio = known[0][1]["scale"] == "ratio"
    neutral = 1.0 if ratio else 0.0
    margin = known[-1][1]["margin"]
    # The first limits are as wide as the scale; the picture shows what matters near the margin.
    reach = max([1.6 * abs(margin - neutral), *(1.3 * abs(m["difference"] - neutral) for _, m in known)])
    low, high = max(neutral - reach, 0.0) if ratio else neutral - reach, neutral + reach
    up = linear(low, high, top + height, top)
    written = (lambda value: f"{value:.2f}×") if ratio else (lambda value: f"{100 * value:+.0f} pt")
    parts = [words(_LEFT, top - 8, _NAMES.get(name, name), class_="label")]
    for value in ticks(low, high, 4):
        parts.append(tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=up(value), y2=up(value), class_="grid"))
        parts.append(words(_LEFT - 8, up(value) + 4, written(value), class_="tick", text_anchor="end"))
    ring = [(x(at), up(m["upper"])) for at, m in known] + [(x(at), up(m["lower"])) for at, m in reversed(known)]
    line = [(x(at), up(m["difference"])) for at, m in known]
    outcome = known[-1][1]["outcome"]
    parts += [
        tag("polygon", points=path(ring), class_=f"band {outcome}"),
        tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=up(neutral), y2=up(neutral), class_="axis"),
        tag("polyline", points=path([(x(at), up(m["margin"])) for at, m in known]), class_="margin"),
        tag("polyline", points=path(line), class_=f"line {outcome}"),
        tag("circle", title(f"{written(known[-1][1]['difference'])}"), cx=line[-1][0], cy=line[-1][1], r=4.0,
            class_=f"dot {outcome}"),
        words(_WIDTH - _RIGHT + 12, up(margin) + 4, f"margin {written(margin)}", class_="tick bad"),
        words(_WIDTH - _RIGHT + 12, line[-1][1] + (16 if abs(line[-1][1] - up(margin)) < 16 else 4),
              f"{written(known[-1][1]['difference'])} {outcome}", class_=f"verb {outcome}"),
    ]  # fmt: skip
    return parts

"""A difference over time with limits that hold at every look, and the margin: canary guardrails and quality alarms."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from flywheel.components.report import drawing

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 360, 196, 52, 10, 10, 28


@dataclass(frozen=True)
class LimitsPoint:
    """One look.

    Attributes:
        at: Place on the horizontal axis.
        label: Its name there; "" for numbers on the axis.
        difference: Candidate or present against reference: a difference of shares, or a ratio.
        lower: Lower limit; None if unknown.
        upper: Upper limit; None if unknown.
        margin: Largest difference still tolerated.
        hot: Whether the look shows harm.
    """

    at: float
    label: str
    difference: float
    lower: float | None
    upper: float | None
    margin: float
    hot: bool = False


def limits_chart(points: Sequence[LimitsPoint], ratio: bool, label: str) -> str:
    """Draw the difference, its limits and the margin.

    Args:
        points: Looks in order.
        ratio: Whether the values are ratios (1 is no change) or differences of shares (0 is no change).
        label: What is drawn, for screen readers.

    Returns:
        An SVG element; "" without points.
    """
    if not points:
        return ""
    neutral = 1.0 if ratio else 0.0
    low, high = _range(points, neutral, ratio)
    named = bool(points[0].label)
    x = drawing.linear(
        points[0].at - 0.4 if named else 0, points[-1].at + (0.4 if named else 0), _LEFT, _WIDTH - _RIGHT
    )
    y = drawing.linear(low, high, _HEIGHT - _BOTTOM, _TOP)
    parts = []
    for tick in drawing.ticks(low, high, 4):
        parts.append(drawing.line(_LEFT, y(tick), _WIDTH - _RIGHT, y(tick), "grid"))
        parts.append(drawing.text(_label(tick, ratio, high - low), _LEFT - 7, y(tick) + 4, "tick", "end"))
    parts += _axis(points, x, named)
    bounded = [point for point in points if point.lower is not None and point.upper is not None]
    upper = [(x(point.at), y(point.upper or 0.0)) for point in bounded]
    lower = [(x(point.at), y(point.lower or 0.0)) for point in bounded]
    if len(bounded) > 1:
        parts.append(drawing.ribbon(upper, lower, "band"))
    parts.append(drawing.line(_LEFT, y(neutral), _WIDTH - _RIGHT, y(neutral), "zero"))
    parts += _margins(points, x, y, high)
    parts.append(drawing.polyline([(x(point.at), y(point.difference)) for point in points], "line"))
    if len(points) <= 14:
        for point, top, bottom in zip(bounded, upper, lower, strict=True):
            parts.append(drawing.line(*top, *bottom, "whisker thin hot" if point.hot else "whisker thin"))
    for point in points if len(points) <= 14 else points[-1:]:
        class_ = "dot hot" if point.hot else "dot"
        parts.append(drawing.element("circle", class_=class_, cx=x(point.at), cy=y(point.difference), r=3.6))
    return drawing.svg(_WIDTH, _HEIGHT, label, parts)


def _axis(points: Sequence[LimitsPoint], x: drawing.Scale, named: bool) -> list[str]:
    if named:
        every = max(1, -(-len(points) // 6))
        return [drawing.text(one.label, x(one.at), _HEIGHT - 8, "tick", "middle") for one in points[::every]]
    parts = []
    for tick in drawing.ticks(0, points[-1].at, 4):
        anchor = "end" if x(tick) > _WIDTH - _RIGHT - 18 else "middle"
        parts.append(drawing.text(f"{tick:,.0f}", x(tick), _HEIGHT - 8, "tick", anchor))
    return parts


def _margins(points: Sequence[LimitsPoint], x: drawing.Scale, y: drawing.Scale, high: float) -> list[str]:
    """The margin as a staircase; margins above the picture are left out."""
    parts, place = [], 0
    while place < len(points):
        margin, end = points[place].margin, place
        while end + 1 < len(points) and points[end + 1].margin == margin:
            end += 1
        if margin <= high:
            start = x(points[place - 1].at) if place else _LEFT
            stop = x(points[end].at) if end + 1 < len(points) else _WIDTH - _RIGHT
            parts.append(drawing.line(start, y(margin), stop, y(margin), "tol"))
        place = end + 1
    return parts


def _range(points: Sequence[LimitsPoint], neutral: float, ratio: bool) -> tuple[float, float]:
    """Wide enough for the values, the last margin and the later limits; early limits are wide and may leave it."""
    later = points[len(points) // 3 :]
    values = [neutral, points[-1].margin, *(point.difference for point in points)]
    values += [value for point in later for value in (point.lower, point.upper) if value is not None]
    least, most = (0.0, 4.0) if ratio else (-1.0, 1.0)
    finite = [min(max(value, least), most) for value in values if math.isfinite(value)]
    low, high = min(finite), max(finite)
    room = max(high - low, 0.02) * 0.08
    return low - room, high + room


def _label(value: float, ratio: bool, span: float) -> str:
    if ratio:
        return f"×{value:.1f}" if span > 0.6 else f"×{value:.2f}"
    if abs(value) < 1e-9:
        return "0"
    return f"{100 * value:+.0f} pt".replace("-", "−") if span > 0.05 else f"{100 * value:+.1f} pt".replace("-", "−")

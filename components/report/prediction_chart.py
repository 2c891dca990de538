"""What replay predicted and what the canary showed, one line a metric, each on its own scale."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from flywheel.components.report import drawing
from flywheel.components.report.step_words import guardrail_title

_WIDTH, _ROW, _LEFT, _RIGHT, _TOP = 1000, 46, 250, 230, 8


def prediction_chart(metrics: Sequence[Mapping[str, Any]]) -> str:
    """Draw predicted intervals and observed changes.

    Args:
        metrics: Lines of a prediction check; those without a prediction are left out.

    Returns:
        An SVG element; "" when nothing was predicted.
    """
    shown = [metric for metric in metrics if metric["predicted"] is not None]
    if not shown:
        return ""
    parts = []
    for number, metric in enumerate(shown):
        parts += _row(metric, _TOP + number * _ROW + _ROW / 2)
    height = _TOP + len(shown) * _ROW + 6
    return drawing.svg(_WIDTH, height, "predicted and observed change of every canary metric", parts)


def change(metric: Mapping[str, Any], value: float | None) -> str:
    """Render a change for people: points for a difference, times for a ratio, a dash when unknown."""
    if value is None:
        return "–"
    if metric["scale"] == "ratio":
        return f"×{value:.2f}"
    return f"{100 * value:+.1f} pt".replace("-", "−")


def _row(metric: Mapping[str, Any], middle: float) -> list[str]:
    ratio = metric["scale"] == "ratio"
    place = _scale(metric, ratio)
    x = lambda value: place(math.log(value) if ratio else value)  # noqa: E731 - one scale, two units
    parts = [
        drawing.text(guardrail_title(metric["name"]), _LEFT - 16, middle + 4, "name", "end"),
        drawing.line(_LEFT, middle, _WIDTH - _RIGHT, middle, "grid"),
        drawing.line(x(1.0 if ratio else 0.0), middle - 15, x(1.0 if ratio else 0.0), middle + 15, "zero"),
    ]
    if metric["expected_lower"] is not None:
        low, high = x(metric["expected_lower"]), x(metric["expected_upper"])
        box = {"x": low, "y": middle - 9, "width": max(high - low, 1.0), "height": 18.0}
        parts.append(drawing.element("rect", class_="band", **box))
    parts.append(drawing.line(x(metric["predicted_lower"]), middle, x(metric["predicted_upper"]), middle, "whisker"))
    parts.append(drawing.element("circle", class_="dot", cx=x(metric["predicted"]), cy=middle, r=4.5))
    if metric["observed"] is not None and not (ratio and metric["observed"] <= 0):
        at = x(metric["observed"])
        corners = (
            f"{at:.1f},{middle - 7:.1f} {at + 7:.1f},{middle:.1f} {at:.1f},{middle + 7:.1f} {at - 7:.1f},{middle:.1f}"
        )
        parts.append(drawing.element("polygon", class_=f"seen {metric['outcome']}", points=corners))
    words = f"{change(metric, metric['predicted'])} → {change(metric, metric['observed'])}"
    parts.append(drawing.text(words, _WIDTH - _RIGHT + 18, middle + 4, "name", "start"))
    return parts


def _scale(metric: Mapping[str, Any], ratio: bool) -> drawing.Scale:
    names = ("predicted_lower", "predicted_upper", "expected_lower", "expected_upper", "observed")
    values = [metric[name] for name in names if metric[name] is not None]
    found = [math.log(value) for value in values if value > 0] + [0.0] if ratio else [*values, 0.0]
    low, high = min(found), max(found)
    room = max(high - low, 0.01) * 0.08
    return drawing.linear(low - room, high + room, _LEFT, _WIDTH - _RIGHT)

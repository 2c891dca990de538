"""Scales, ticks and SVG elements; all text is escaped here."""

import math
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

Scale = Callable[[float], float]


def linear(low: float, high: float, start: float, end: float) -> Scale:
    """Map [low, high] to [start, end]; values outside are clipped, an empty range maps to the middle."""
    span = high - low

    def place(value: float) -> float:
        if span <= 0:
            return (start + end) / 2
        return start + (min(max(value, low), high) - low) / span * (end - start)

    return place


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers in [low, high], about `wanted` of them."""
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    power = 10 ** math.floor(math.log10(span / wanted))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10, 20) if span / (power * factor) <= wanted)
    first = math.ceil(low / step - 1e-9)
    return [count * step for count in range(first, math.floor(high / step + 1e-9) + 1)]


def element(name: str, content: str = "", **attributes: Any) -> str:
    """Write an element; `class_` is class, underscores are hyphens, floats get one decimal; content is markup."""
    parts = []
    for key, value in attributes.items():
        shown = f"{value:.1f}" if isinstance(value, float) else str(value)
        parts.append(f'{key.rstrip("_").replace("_", "-")}="{escape(shown)}"')
    return f"<{name} {' '.join(parts)}>{content}</{name}>"


def text(words: Any, x: float, y: float, class_: str = "tick", anchor: str = "start", hint: str = "") -> str:
    """Write escaped text; `hint` is shown on hover."""
    content = escape(str(words)) + (f"<title>{escape(hint)}</title>" if hint else "")
    return element("text", content, class_=class_, x=float(x), y=float(y), text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> str:
    """Write a straight line."""
    return element("line", class_=class_, x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2))


def polyline(points: Iterable[tuple[float, float]], class_: str) -> str:
    """Write an open line."""
    return element("polyline", class_=class_, points=" ".join(f"{x:.1f},{y:.1f}" for x, y in points))


def ribbon(upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]], class_: str) -> str:
    """Write the area between two lines."""
    ring = [*upper, *reversed(lower)]
    return element("polygon", class_=class_, points=" ".join(f"{x:.1f},{y:.1f}" for x, y in ring))


def svg(width: int, height: int, label: str, content: Iterable[str]) -> str:
    """Write a drawing that scales with the page; `label` is read aloud by screen readers."""
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}" '
        f'style="--w:{width}px">{"".join(content)}</svg>'
    )


def shortened(words: str, longest: int) -> str:
    """Cut text to a number of characters, with an ellipsis."""
    return words if len(words) <= longest else words[: longest - 1].rstrip() + "…"

"""The few SVG building blocks of the charts; everything that goes in as text comes out escaped."""

import math
from collections.abc import Callable, Sequence
from html import escape

Scale = Callable[[float], float]


def tag(name: str, *content: str, **attributes: str | float) -> str:
    """Return an element.

    Args:
        name: Element name.
        content: Finished markup inside it.
        attributes: Attributes; a trailing underscore is dropped and inner ones become dashes (`class_`, `text_anchor`),
            numbers are rounded to a tenth of a pixel.
    """
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>{''.join(content)}</{name}>" if content else f"<{name}{written}/>"


def words(x: float, y: float, text: str, **attributes: str | float) -> str:
    """Return a text element with escaped text."""
    return tag("text", escape(text), x=x, y=y, **attributes)


def title(text: str) -> str:
    """Return a tooltip for the element it is put into."""
    return tag("title", escape(text) or " ")


def canvas(width: float, height: float, label: str, *content: str, kind: str = "") -> str:
    """Return the whole drawing; `label` says to a screen reader what it shows."""
    box = f"0 0 {width:g} {height:g}"
    return tag("svg", *content, class_=f"chart {kind}".strip(), viewBox=box, role="img", aria_label=label)


def linear(low: float, high: float, start: float, end: float) -> Scale:
    """Return the function from values in [low, high] to pixels from start to end; values outside are clipped."""
    span = (high - low) or 1.0

    def place(value: float) -> float:
        return start + (min(max(value, low), high) - low) / span * (end - start)

    return place


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Return about `count` round numbers in [low, high] (steps of 1, 2, 2.5 or 5 times a power of ten)."""
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    rough = span / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999), 10 * power)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def path(points: Sequence[tuple[float, float]]) -> str:
    """Return the points of a polyline or polygon."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def shorten(text: str, most: int) -> str:
    """Cut a text to at most `most` characters."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _value(value: str | float) -> str:
    return escape(value, quote=True) if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")

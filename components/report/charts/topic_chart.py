"""How the questions moved: each topic's share before and now."""

from typing import Any

from flywheel.components.report.charts.svg import canvas, linear, shorten, tag, ticks, title, words


def topic_chart(topics: list[dict[str, Any]], most: int = 10, width: float = 560.0) -> str:
    """Draw topic shares as dumbbells, the largest change first.

    Args:
        topics: Topics with name, reference, current, lower and upper (limits of the change), and example.
        most: Topics to draw.
        width: Width of the drawing.

    Returns:
        An `<svg>` element.
    """
    shown = sorted(topics, key=lambda topic: -abs(topic["current"] - topic["reference"]))[:most]
    row, left, top = 30.0, 190.0, 24.0
    high = max(max(topic["reference"], topic["current"]) for topic in shown) * 1.1 or 1.0
    x = linear(0.0, high, left, width - 64)
    bottom = top + row * len(shown)
    parts = []
    for value in ticks(0.0, high, 4):
        parts.append(tag("line", x1=x(value), x2=x(value), y1=top - 4, y2=bottom, class_="grid"))
        parts.append(words(x(value), top - 10, f"{value:.0%}", class_="tick", text_anchor="middle"))
    for place, topic in enumerate(shown):
        y = top + row * (place + 0.5)
        change = topic["current"] - topic["reference"]
        clear = topic.get("lower", 0.0) > 0 or topic.get("upper", 0.0) < 0
        tip = f"{topic['name']}: {topic['reference']:.1%} → {topic['current']:.1%}. {topic.get('example', '')}"
        kind = "clear" if clear else "unclear"
        parts.append(
            tag(
                "g",
                title(tip),
                words(left - 12, y + 4, shorten(str(topic["name"]), 28), class_="label", text_anchor="end"),
                tag("line", x1=x(topic["reference"]), x2=x(topic["current"]), y1=y, y2=y, class_=f"link {kind}"),
                tag("circle", cx=x(topic["reference"]), cy=y, r=5.0, class_="before"),
                tag("circle", cx=x(topic["current"]), cy=y, r=6.0, class_=f"now {kind}"),
                words(width, y + 4, f"{100 * change:+.1f} pt", class_=f"count {kind}", text_anchor="end"),
            )
        )
    return canvas(width, bottom + 6, "topic shares before and now", *parts)

"""Horizontal bars: counts by name."""

from collections.abc import Mapping

from flywheel.components.report.charts.svg import canvas, linear, shorten, tag, title, words


def bars(counts: Mapping[str, float], label: str, kind: str = "", width: float = 560.0, names: float = 190.0) -> str:
    """Draw counts as bars, in the given order.

    Args:
        counts: Count by name, at least one; all zero or more.
        label: What is counted, for screen readers.
        kind: Extra CSS class of the bars.
        width: Width of the drawing.
        names: Width of the names' column.

    Returns:
        An `<svg>` element.
    """
    row = 26.0
    total = sum(counts.values()) or 1.0
    length = linear(0.0, max(counts.values()) or 1.0, 0.0, width - names - 96)
    parts = []
    for place, (name, count) in enumerate(counts.items()):
        y = place * row
        share = f"{count / total:.0%}" if count / total >= 0.01 else "<1%"
        end = names + length(count)
        parts.append(
            tag(
                "g",
                title(f"{name}: {count:,.0f}"),
                words(names - 10, y + 17, shorten(name, 30), class_="label", text_anchor="end"),
                tag("rect", x=names, y=y + 4, width=max(length(count), 1.5), height=16.0, rx=3.0, class_=f"bar {kind}"),
                words(end + 8, y + 17, f"{count:,.0f}", class_="count"),
                words(width, y + 17, share, class_="tick", text_anchor="end"),
            )
        )
    return canvas(width, row * len(counts), label, *parts)

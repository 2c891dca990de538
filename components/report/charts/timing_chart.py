"""When each step ran and how long it took."""

from typing import Any

from flywheel.components.report.charts.svg import canvas, linear, shorten, tag, ticks, title, words


def timing_chart(timings: list[dict[str, Any]]) -> str:
    """Draw the steps over time, seconds since the first one started.

    Args:
        timings: Steps with start and seconds, at least one.

    Returns:
        An `<svg>` element.
    """
    width, left, right, row, top = 1180.0, 200.0, 90.0, 24.0, 22.0
    end = max(step["start"] + step["seconds"] for step in timings) or 1.0
    x = linear(0.0, end, left, width - right)
    bottom = top + row * len(timings)
    parts = []
    for value in ticks(0.0, end, 8):
        parts.append(tag("line", x1=x(value), x2=x(value), y1=top - 2, y2=bottom, class_="grid"))
        parts.append(words(x(value), top - 8, f"{value:g} s", class_="tick", text_anchor="middle"))
    for place, step in enumerate(timings):
        y = top + row * place
        finish = x(step["start"] + step["seconds"])
        parts.append(
            tag(
                "g",
                title(f"{step['step']}: {step['seconds']:.2f} s, {step['outcome']}"),
                words(left - 12, y + 16, shorten(step["step"], 28), class_="label", text_anchor="end"),
                tag("rect", x=x(step["start"]), y=y + 4, width=max(finish - x(step["start"]), 2.0), height=14.0, rx=3.0,
                    class_="bar"),
                words(finish + 8, y + 16, f"{step['seconds']:.1f} s", class_="count"),
            )
        )  # fmt: skip
    return canvas(width, bottom + 4, "time line of the steps", *parts)

"""The training loss over the optimizer steps, small enough to stand beside other figures."""

from flywheel.components.report.charts.svg import canvas, linear, path, tag, ticks, words


def loss_chart(loss: list[list[float]], width: float = 560.0, height: float = 190.0) -> str:
    """Draw the loss.

    Args:
        loss: (step, loss in nats per answer token), at least one.
        width: Width of the drawing.
        height: Height of the drawing.

    Returns:
        An `<svg>` element.
    """
    left, right, top, bottom = 48.0, 14.0, 12.0, 28.0
    first, last = loss[0][0], loss[-1][0]
    high = max(value for _, value in loss) * 1.05 or 1.0
    x, y = linear(first, last, left, width - right), linear(0.0, high, height - bottom, top)
    parts = []
    for value in ticks(0.0, high, 4):
        parts.append(tag("line", x1=left, x2=width - right, y1=y(value), y2=y(value), class_="grid"))
        parts.append(words(left - 8, y(value) + 4, f"{value:g}", class_="tick", text_anchor="end"))
    for value in ticks(first, last, 5):
        parts.append(words(x(value), height - 8, f"{value:g}", class_="tick", text_anchor="middle"))
    points = [(x(step), y(value)) for step, value in loss]
    area = [(points[0][0], height - bottom), *points, (points[-1][0], height - bottom)]
    parts += [
        tag("polygon", points=path(area), class_="band"),
        tag("polyline", points=path(points), class_="line"),
        tag("circle", cx=points[-1][0], cy=points[-1][1], r=4.0, class_="dot"),
    ]
    return canvas(width, height, "training loss over optimizer steps", *parts)

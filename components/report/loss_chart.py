"""The training loss over the steps, each step light and a running mean dark."""

from collections.abc import Sequence

from flywheel.components.report import drawing

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 520, 260, 44, 14, 24, 44


def loss_chart(loss: Sequence[Sequence[float]]) -> str:
    """Draw the loss.

    Args:
        loss: Pairs of step and loss (nats per answer token), in order of steps; at least one.

    Returns:
        An SVG element.
    """
    steps, values = [point[0] for point in loss], [point[1] for point in loss]
    top = max(values) * 1.04 or 1.0
    x = drawing.linear(steps[0], steps[-1], _LEFT, _WIDTH - _RIGHT)
    y = drawing.linear(0, top, _HEIGHT - _BOTTOM, _TOP)
    parts = [drawing.text("loss per answer token, nats", _LEFT, 11, "tick")]
    for tick in drawing.ticks(0, top, 4):
        parts.append(drawing.line(_LEFT, y(tick), _WIDTH - _RIGHT, y(tick), "grid"))
        parts.append(drawing.text(f"{tick:g}", _LEFT - 8, y(tick) + 4, "tick", "end"))
    for tick in drawing.ticks(steps[0], steps[-1], 6):
        parts.append(drawing.text(f"{tick:,.0f}", x(tick), _HEIGHT - 14, "tick", "middle"))
    parts.append(drawing.text("optimizer step", _WIDTH - _RIGHT, _HEIGHT - 1, "tick", "end"))
    parts.append(drawing.polyline([(x(step), y(value)) for step, value in loss], "line each"))
    smooth = _running_mean(values)
    parts.append(drawing.polyline([(x(a), y(b)) for a, b in zip(steps, smooth, strict=True)], "line"))
    parts.append(drawing.element("circle", class_="dot", cx=x(steps[-1]), cy=y(smooth[-1]), r=4))
    return drawing.svg(_WIDTH, _HEIGHT, "training loss over optimizer steps", parts)


def _running_mean(values: Sequence[float], weight: float = 0.8) -> list[float]:
    """Exponential moving average with bias correction (as in Adam, arXiv 1412.6980, section 3)."""
    mean, out = 0.0, []
    for count, value in enumerate(values, 1):
        mean = weight * mean + (1 - weight) * value
        out.append(mean / (1 - weight**count))
    return out

"""The loss over the steps as a self-contained HTML page with an inline SVG."""

import html
import math
from collections.abc import Sequence

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 760, 320, 64, 16, 16, 44
_STYLE = (
    "body{font:14px/1.5 system-ui,sans-serif;margin:24px;color:#1c2733;background:#fff;max-width:800px}"
    "h1{font-size:18px;margin:0 0 4px}p{margin:0 0 12px;color:#52616f}svg{width:100%;height:auto}"
    "text{font:12px system-ui,sans-serif;fill:#52616f}.grid{stroke:#e3e8ed}.raw{stroke:#a9c4e6;fill:none}"
    ".smooth{stroke:#1d5fae;fill:none;stroke-width:2.5;stroke-linejoin:round}"
)


def loss_curve(loss: Sequence[tuple[int, float]], title: str, caption: str) -> str:
    """Draw the loss and its exponential moving average.

    Args:
        loss: (step, mean loss per completion token in nats), in order of steps.
        title: Heading.
        caption: A sentence below it.

    Returns:
        A whole HTML page without any outside reference.

    Raises:
        ValueError: There is nothing to draw, or a loss is not finite.
    """
    if not loss:
        raise ValueError("no loss was logged: there is no curve to draw")
    if not all(math.isfinite(value) for _, value in loss):
        raise ValueError("a loss is not finite")
    smooth = _moving_average([value for _, value in loss])
    steps = [step for step, _ in loss]
    top = max(value for _, value in loss) * 1.05 or 1.0
    first, last = min(steps), max(steps)

    def x(step: float) -> float:
        share = (step - first) / (last - first) if last > first else 0.5
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _TOP + (1 - value / top) * (_HEIGHT - _TOP - _BOTTOM)

    grid = []
    for tick in _ticks(top):
        grid.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        grid.append(f'<text x="{_LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for step in sorted({first, (first + last) // 2, last}):
        grid.append(f'<text x="{x(step):.1f}" y="{_HEIGHT - 22}" text-anchor="middle">{step}</text>')
    raw = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in loss)
    mean = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in zip(steps, smooth, strict=True))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{html.escape(title)}</h1><p>{html.escape(caption)}</p>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="training loss over steps">{"".join(grid)}'
        f'<polyline class="raw" points="{raw}"/><polyline class="smooth" points="{mean}"/>'
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 4}" text-anchor="middle">optimizer step</text>'
        f'<text x="{_LEFT}" y="12">loss per answer token (nats): light each step, dark smoothed; '
        f"last {loss[-1][1]:.4f}</text></svg></html>\n"
    )


def _moving_average(values: Sequence[float], weight: float = 0.8) -> list[float]:
    """Exponential moving average with bias correction (as in Adam, arXiv 1412.6980, section 3)."""
    mean, out = 0.0, []
    for count, value in enumerate(values, 1):
        mean = weight * mean + (1 - weight) * value
        out.append(mean / (1 - weight**count))
    return out


def _ticks(top: float, wanted: int = 5) -> list[float]:
    """Round numbers from 0 to at most `top`."""
    step = 10 ** math.floor(math.log10(top / wanted))
    step *= next(factor for factor in (1, 2, 5, 10) if step * factor * wanted >= top)
    return [count * step for count in range(math.floor(top / step) + 1)]

"""The share of thumbs up over time, with its interval, and the ratings it rests on as bars up and down."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from flywheel.components.report import drawing

_WIDTH, _LEFT, _RIGHT = 1000, 52, 14
_SHARE_TOP, _SHARE_BOTTOM, _BARS_TOP, _BARS_BOTTOM, _HEIGHT = 16, 196, 226, 316, 344


def satisfaction_chart(periods: Sequence[Mapping[str, Any]], period_days: int) -> str:
    """Draw share and counts over one time axis.

    Args:
        periods: Ratings by period, at least one, as of `satisfaction.satisfaction`.
        period_days: Length of a period, days.

    Returns:
        An SVG element.
    """
    days = [date.fromisoformat(period["day"]).toordinal() for period in periods]
    slots = (days[-1] - days[0]) // period_days + 1
    slot = (_WIDTH - _LEFT - _RIGHT) / slots

    def x(day: int) -> float:
        return _LEFT + slot * ((day - days[0]) // period_days + 0.5)

    places = [x(day) for day in days]
    parts = [*_shares(periods, places, slot), *_thumbs(periods, places, slot)]
    shown = max(1, -(-slots // 9))
    for number in range(0, slots, shown):
        day = days[0] + number * period_days
        words = date.fromordinal(day).strftime("%d %b" if slots * period_days < 300 else "%b %Y").lstrip("0")
        parts.append(drawing.text(words, x(day), _HEIGHT - 6, "tick", "middle"))
    return drawing.svg(_WIDTH, _HEIGHT, "share of thumbs up per period with 95 % interval, and ratings", parts)


def _shares(periods: Sequence[Mapping[str, Any]], places: Sequence[float], slot: float) -> list[str]:
    lowest = min(period["lower"] for period in periods)
    floor = 0.0 if lowest < 0.5 else 0.5
    y = drawing.linear(floor, 1.0, _SHARE_BOTTOM, _SHARE_TOP)
    parts = [drawing.text("thumbs up among rated", _LEFT, 9, "tick")]
    for tick in drawing.ticks(floor, 1.0, 4):
        parts.append(drawing.line(_LEFT, y(tick), _WIDTH - _RIGHT, y(tick), "grid"))
        parts.append(drawing.text(f"{tick:.0%}", _LEFT - 8, y(tick) + 4, "tick", "end"))
    upper = [(x, y(period["upper"])) for x, period in zip(places, periods, strict=True)]
    lower = [(x, y(period["lower"])) for x, period in zip(places, periods, strict=True)]
    points = [(x, y(period["share"])) for x, period in zip(places, periods, strict=True)]
    parts += [drawing.ribbon(upper, lower, "band"), drawing.polyline(points, "line")]
    for (x, height), period, high, low in zip(points, periods, upper, lower, strict=True):
        hint = (
            f"{period['day']}: {period['share']:.1%} ({period['lower']:.1%} to {period['upper']:.1%}), "
            f"{period['rated']:,} rated"
        )
        dot = drawing.element("circle", f"<title>{hint}</title>", class_="dot", cx=x, cy=height, r=3.4)
        parts.append(drawing.line(x, high[1], x, low[1], "whisker thin") + dot if slot > 14 else dot)
    return parts


def _thumbs(periods: Sequence[Mapping[str, Any]], places: Sequence[float], slot: float) -> list[str]:
    most_up, most_down = (max(period[name] for period in periods) for name in ("up", "down"))
    whole = max(most_up + most_down, 1)
    zero = _BARS_TOP + (_BARS_BOTTOM - _BARS_TOP) * most_up / whole
    tall = (_BARS_BOTTOM - _BARS_TOP) / whole
    width = max(1.0, min(26.0, slot * 0.66))
    parts = [drawing.text("ratings: up above, down below the line", _LEFT, _BARS_TOP - 8, "tick")]
    for x, period in zip(places, periods, strict=True):
        hint = f"<title>{period['day']}: {period['up']:,} up, {period['down']:,} down</title>"
        left = x - width / 2
        up, down = period["up"] * tall, period["down"] * tall
        parts.append(
            drawing.element("rect", hint, class_="up", x=left, y=zero - up, width=width, height=up, rx=2)
            + drawing.element("rect", hint, class_="down", x=left, y=zero, width=width, height=down, rx=2)
        )
    parts.append(drawing.line(_LEFT, zero, _WIDTH - _RIGHT, zero, "axis"))
    for count, height in ((most_up, _BARS_TOP), (most_down, _BARS_BOTTOM)):
        if count:
            parts.append(drawing.text(f"{count:,}", _LEFT - 8, height + 4, "tick", "end"))
    return parts

"""Satisfaction over time: the share of users' thumbs that point up with its interval, and the thumbs themselves."""

from datetime import datetime
from typing import Any

from flywheel.components.report.charts.svg import canvas, linear, path, tag, ticks, title, words

_WIDTH, _LEFT, _RIGHT = 1180.0, 56.0, 16.0
_TOP, _MIDDLE, _BOTTOM, _HEIGHT = 18.0, 210.0, 330.0, 352.0


def satisfaction_chart(days: list[dict[str, Any]], current_from: str = "") -> str:
    """Draw the days.

    Args:
        days: As `satisfaction.by_day` returns them, at least one.
        current_from: ISO time at which the window begins that the drift check calls current; "" for none.

    Returns:
        An `<svg>` element.
    """
    slot = (_WIDTH - _LEFT - _RIGHT) / len(days)
    across = [_LEFT + slot * (place + 0.5) for place in range(len(days))]
    share = linear(0.0, 1.0, _MIDDLE - 14, _TOP)
    most = max(max(day["up"], day["down"]) for day in days) or 1
    parts = []
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=share(value), y2=share(value), class_="grid"))
        parts.append(words(_LEFT - 8, share(value) + 4, f"{value:.0%}", class_="tick", text_anchor="end"))
    parts.append(_boundary(days, across, slot, current_from))
    known = [(x, day) for x, day in zip(across, days, strict=True) if day["positive"] is not None]
    ring = [(x, share(day["upper"])) for x, day in known] + [(x, share(day["lower"])) for x, day in reversed(known)]
    parts.append(tag("polygon", points=path(ring), class_="band"))
    parts.append(tag("polyline", points=path([(x, share(day["positive"])) for x, day in known]), class_="line"))
    for x, day in known:
        said = f"{day['day']}: {day['positive']:.0%} positive ({day['lower']:.0%} to {day['upper']:.0%}), {day['users']} users"
        parts.append(tag("circle", title(said), cx=x, cy=share(day["positive"]), r=4.0, class_="dot"))
    parts += _thumbs(days, across, slot, most)
    every = max(1, len(days) // 14)
    for place, (x, day) in enumerate(zip(across, days, strict=True)):
        if place % every == 0:
            moment = datetime.fromisoformat(day["day"])
            parts.append(words(x, _HEIGHT - 4, f"{moment.day} {moment:%b}", class_="tick", text_anchor="middle"))
    return canvas(_WIDTH, _HEIGHT, "share of positive thumbs by day, and thumbs up and down by day", *parts)


def _thumbs(days: list[dict[str, Any]], across: list[float], slot: float, most: int) -> list[str]:
    zero = (_MIDDLE + _BOTTOM) / 2
    up = linear(0, most, zero, _MIDDLE + 4)
    width = min(slot * 0.55, 44.0)
    parts = [tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=zero, y2=zero, class_="axis")]
    for value in ticks(0, most, 2)[1:]:
        parts.append(words(_LEFT - 8, up(value) + 4, f"{value:g}", class_="tick", text_anchor="end"))
    parts.append(words(_LEFT - 8, zero + 4, "0", class_="tick", text_anchor="end"))
    for x, day in zip(across, days, strict=True):
        tip = f"{day['day']}: {day['up']} up, {day['down']} down, {day['neutral']} neutral"
        high, low = zero - up(day["up"]), zero - up(day["down"])
        left = x - width / 2
        parts.append(tag("rect", title(tip), x=left, y=zero - high, width=width, height=high, rx=2.0, class_="up"))
        parts.append(tag("rect", title(tip), x=left, y=zero, width=width, height=low, rx=2.0, class_="down"))
    return parts


def _boundary(days: list[dict[str, Any]], across: list[float], slot: float, current_from: str) -> str:
    if not current_from:
        return ""
    moment = datetime.fromisoformat(current_from)
    first = next((place for place, day in enumerate(days) if day["day"] >= f"{moment:%Y-%m-%d}"), None)
    if not first:
        return ""
    x = across[first] - slot / 2
    return tag(
        "g",
        tag("rect", x=x, y=_TOP - 8, width=_WIDTH - _RIGHT - x, height=_BOTTOM - _TOP + 12, class_="window"),
        tag("line", x1=x, x2=x, y1=_TOP - 8, y2=_BOTTOM + 4, class_="boundary"),
        words(x + 8, _TOP + 4, "last days, compared with those before", class_="soft"),
    )

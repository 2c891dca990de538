"""The loop as a drawing: ten stations in a ring, the counts between them, and what left the loop where."""

from collections.abc import Mapping, Sequence
from typing import Any

from flywheel.components.report import drawing

_WIDTH = 1080
_BOX_WIDTH, _BOX_HEIGHT = 142, 66
_TOP, _BOTTOM, _LEFT = 30, 340, 8
_STEP = (_WIDTH - 2 * _LEFT - _BOX_WIDTH) / 4


def loop_diagram(stations: Sequence[Mapping[str, Any]], decision: str, drift: str = "") -> str:
    """Draw the loop.

    Args:
        stations: What `loop_stations.loop_stations` returned: ten stations.
        decision: Word in the middle of the ring.
        drift: What the drift watch said; "" when it did not run.

    Returns:
        An SVG element.
    """
    parts = [_arrowhead()]
    places = [_place(number) for number in range(len(stations))]
    for number, station in enumerate(stations):
        following = stations[(number + 1) % len(stations)]
        parts.append(_edge(number, places, station, following))
    for number, ((x, y), station) in enumerate(zip(places, stations, strict=True)):
        aside = -82 if number == 4 else 0  # the way down to the next row starts below the fifth box
        parts.append(_station(x, y, station, aside))
    height = _BOTTOM + _BOX_HEIGHT + 6
    height += max((22 + 17 * (len(one["exits"]) - 1) for one in stations[5:] if one["exits"]), default=0)
    middle = _WIDTH / 2
    parts.append(drawing.text("this turn", middle, 232, "tick", "middle"))
    parts.append(drawing.text(decision, middle, 262, f"verdict {decision.replace(' ', '-')}", "middle"))
    if drift:
        parts.append(drawing.text(f"drift watch: {drift}", middle, 286, "tick", "middle"))
    return drawing.svg(_WIDTH, height, "the loop with the counts between its stations", parts)


def _place(number: int) -> tuple[float, float]:
    """Upper left corner: five stations to the right, then five back to the left."""
    if number < 5:
        return _LEFT + number * _STEP, _TOP
    return _LEFT + (9 - number) * _STEP, _BOTTOM


def _arrowhead() -> str:
    path = drawing.element("path", d="M0 0L8 4L0 8Z", class_="head-of-arrow")
    marker = 'id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"'
    return f"<defs><marker {marker}>{path}</marker></defs>"


def _edge(
    number: int, places: Sequence[tuple[float, float]], station: Mapping[str, Any], following: Mapping[str, Any]
) -> str:
    reached = following["state"] != "idle" and station["state"] != "idle"
    class_ = "edge" if reached else "edge idle"
    start, end, label = _way(number, *places[number])
    drawn = drawing.element(
        "line", class_=class_, x1=start[0], y1=start[1], x2=end[0], y2=end[1], marker_end="url(#arrow)"
    )
    if station["handed_on"] is None or not reached:
        return drawn
    count = drawing.text(f"{station['handed_on']:,}", label[0], label[1], "count", label[2])
    return drawn + count + drawing.text(station["unit"], label[0], label[1] + 13, "tick", label[2])


def _way(number: int, x: float, y: float) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float, str]]:
    """Start and end of the arrow from a station to the next, and where its label stands."""
    centre, across, between = x + _BOX_WIDTH / 2, y + _BOX_HEIGHT / 2, (_STEP - _BOX_WIDTH) / 2
    if number == 4:
        return (centre, _TOP + _BOX_HEIGHT), (centre, _BOTTOM - 6), (centre - 12, 228, "end")
    if number == 9:
        return (centre, _BOTTOM), (centre, _TOP + _BOX_HEIGHT + 6), (centre + 12, 228, "start")
    if number < 4:
        right = x + _BOX_WIDTH
        return (right, across), (x + _STEP - 6, across), (right + between, across - 20, "middle")
    return (x, across), (x - 2 * between + 6, across), (x - between, across - 20, "middle")


def _station(x: float, y: float, station: Mapping[str, Any], aside: float) -> str:
    state = station["state"]
    box = drawing.element(
        "rect", class_=f"station {state}", x=x, y=float(y), width=_BOX_WIDTH, height=_BOX_HEIGHT, rx=12
    )
    centre = x + _BOX_WIDTH / 2
    idle = " faint" if state == "idle" else ""
    parts = [box, drawing.text(station["title"], centre, y + 28, f"title{idle}", "middle")]
    fact = station["fact"] or {"idle": "not reached", "failed": "stopped here"}.get(state, "done")
    parts.append(drawing.text(drawing.shortened(fact, 22), centre, y + 48, f"tick fact {state}", "middle"))
    for place, leaving in enumerate(station["exits"][:3]):
        below = y + _BOX_HEIGHT + 22 + 17 * place
        parts.append(drawing.text(f"{leaving['count']:,}", centre + aside - 8, below, "count small", "end"))
        parts.append(drawing.text(leaving["label"], centre + aside - 2, below, "tick", "start"))
    return "".join(parts)

"""The flywheel as a ring of stations: what crossed each border, what stayed behind, how far the run came."""

from typing import Any

from flywheel.components.report.charts.svg import canvas, shorten, tag, title, words

_WIDTH, _HEIGHT = 1180.0, 430.0
_CARD_WIDTH, _CARD_HEIGHT = 168.0, 104.0
_TOP, _BOTTOM = 34.0, 292.0
_COLUMNS = 5
_STEP = (_WIDTH - _CARD_WIDTH) / (_COLUMNS - 1)
_PARTS = ("accepted", "duplicates", "in_review", "quarantined")


def loop_diagram(stations: list[dict[str, Any]], centre: tuple[str, str]) -> str:
    """Draw the loop.

    Args:
        stations: Ten stations in the order of the loop, each with name, state (done, decided, stopped, open), figure (the
            large text), note (the small one), out (what crosses the border to the next station, "" for nothing) and rows
            (a border of `figures.compute`, None when the station moves no rows).
        centre: A large and a small line in the middle of the ring.

    Returns:
        An `<svg>` element.
    """
    places = [_place(number) for number in range(len(stations))]
    parts = [_arrow(number, places, station) for number, station in enumerate(stations)]
    parts += [_card(x, y, station) for (x, y), station in zip(places, stations, strict=True)]
    middle = _HEIGHT / 2
    parts += [
        words(_WIDTH / 2, middle - 2, shorten(centre[0], 44), class_="centre", text_anchor="middle"),
        words(_WIDTH / 2, middle + 20, shorten(centre[1], 110), class_="soft", text_anchor="middle"),
    ]
    head = tag(
        "defs",
        tag("marker", tag("path", d="M0 0 8 4 0 8z", class_="arrowhead"), id="arrow", viewBox="0 0 8 8", refX=7.0,
            refY=4.0, markerWidth=9.0, markerHeight=9.0, orient="auto", markerUnits="userSpaceOnUse"),
    )  # fmt: skip
    return canvas(_WIDTH, _HEIGHT, "the feedback loop with the counts at each border", head, *parts, kind="loop")


def _place(number: int) -> tuple[float, float]:
    """The upper row runs to the right, the lower one back."""
    if number < _COLUMNS:
        return number * _STEP, _TOP
    return (2 * _COLUMNS - 1 - number) * _STEP, _BOTTOM


def _card(x: float, y: float, station: dict[str, Any]) -> str:
    rows = station.get("rows")
    tip = f"{station['name']}: {station['figure']} {station['note']}"
    if rows:
        tip += (
            f"; {rows['rows_in']:,} in = {rows['accepted']:,} accepted + {rows['duplicates']:,} duplicates"
            f" + {rows['in_review']:,} in review + {rows['quarantined']:,} quarantined"
        )
    return tag(
        "g",
        title(tip),
        tag("rect", x=0.5, y=0.5, width=_CARD_WIDTH - 1, height=_CARD_HEIGHT, rx=12.0, class_="card"),
        tag("circle", cx=20.0, cy=22.0, r=5.0, class_="lamp"),
        words(33, 27, station["name"], class_="name"),
        words(16, 60, shorten(station["figure"], 15), class_="figure"),
        words(16, 80, shorten(station["note"], 27), class_="soft"),
        _bar(rows) if rows else "",
        transform=f"translate({x:.1f} {y:.1f})",
        class_=f"station {station['state']}",
    )


def _bar(rows: dict[str, Any]) -> str:
    """The conservation law as a bar: its parts fill it because nothing is lost."""
    width, total = _CARD_WIDTH - 32, rows["rows_in"]
    if not total:
        return ""
    x, parts = 16.0, []
    for name in _PARTS:
        part = width * rows[name] / total
        if part > 0:
            parts.append(tag("rect", x=x, y=90.0, width=max(part, 1.0), height=6.0, class_=f"part {name}"))
        x += part
    return "".join(parts)


def _arrow(number: int, places: list[tuple[float, float]], station: dict[str, Any]) -> str:
    (x, y), (next_x, next_y) = places[number], places[(number + 1) % len(places)]
    passed = station["out"]
    kind = "flow" if passed else "flow open"
    if y == next_y:
        rightwards = next_x > x
        start = x + _CARD_WIDTH + 3 if rightwards else x - 3
        end = next_x - 4 if rightwards else next_x + _CARD_WIDTH + 4
        height = y + _CARD_HEIGHT / 2
        line = tag("line", x1=start, x2=end, y1=height, y2=height, class_=kind, marker_end="url(#arrow)")
        return line + words((start + end) / 2, height - 10, shorten(passed, 14), class_="passed", text_anchor="middle")
    down = next_y > y
    across = x + _CARD_WIDTH / 2
    start, end = (y + _CARD_HEIGHT + 3, next_y - 4) if down else (y - 3, next_y + _CARD_HEIGHT + 4)
    line = tag("line", x1=across, x2=across, y1=start, y2=end, class_=kind, marker_end="url(#arrow)")
    anchor = "end" if down else "start"
    return line + words(across - 12 if down else across + 12, (start + end) / 2 + 4, shorten(passed, 30), class_="passed",
                        text_anchor=anchor)  # fmt: skip

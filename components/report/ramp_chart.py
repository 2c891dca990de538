"""The canary's ramp: the share of users on the candidate over the requests, and what the judge said."""

from collections.abc import Mapping, Sequence
from typing import Any

from flywheel.components.report import drawing

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 1000, 190, 52, 14, 18, 34


def requests(look: Mapping[str, Any]) -> int:
    """Requests of both arms up to a look."""
    return int(sum(look["requests"].values()))


def ramp_chart(looks: Sequence[Mapping[str, Any]], decision: str) -> str:
    """Draw the share as a staircase.

    Args:
        looks: Looks of the judge in order, at least one.
        decision: How the rollout ended: promote, rollback, hold or running.

    Returns:
        An SVG element.
    """
    last = max(requests(looks[-1]), 1)
    x = drawing.linear(0, last, _LEFT, _WIDTH - _RIGHT - 178)
    y = drawing.linear(0, 1, _HEIGHT - _BOTTOM, _TOP)
    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(drawing.line(_LEFT, y(tick), _WIDTH - _RIGHT, y(tick), "grid"))
        parts.append(drawing.text(f"{tick:.0%}", _LEFT - 8, y(tick) + 4, "tick", "end"))
    for tick in drawing.ticks(0, last, 6):
        words = f"{tick:,.0f}" if tick else "0 requests"
        parts.append(drawing.text(words, x(tick), _HEIGHT - 12, "tick", "start" if not tick else "middle"))
    parts += _steps(looks, x, y)
    end = {"promote": 1.0, "rollback": 0.0}.get(decision)
    share = looks[-1]["share"] if end is None else end
    start = x(last)
    if end is not None:
        parts.append(drawing.line(start, y(looks[-1]["share"]), start, y(end), f"jump {decision}"))
    parts.append(drawing.line(start, y(share), _WIDTH - _RIGHT, y(share), f"jump {decision}"))
    words = {"promote": "promoted: everybody", "rollback": "rolled back: nobody", "hold": "held"}.get(
        decision, decision
    )
    above = y(share) - 8 if share < 0.9 else y(share) + 18
    parts.append(drawing.text(words, start + 10, above, f"verdict-word {decision}"))
    return drawing.svg(_WIDTH, _HEIGHT, "share of the users on the candidate over requests", parts)


def _steps(looks: Sequence[Mapping[str, Any]], x: drawing.Scale, y: drawing.Scale) -> list[str]:
    """One block for each run of looks at the same share, labelled."""
    parts, began, place = [], 0, 0
    while place < len(looks):
        share, end = looks[place]["share"], place
        while end + 1 < len(looks) and looks[end + 1]["share"] == share:
            end += 1
        left, right, top = x(began), x(requests(looks[end])), y(share)
        block = {"x": left, "y": top, "width": max(right - left, 1.0), "height": y(0) - top}
        hint = f"{share:.0%}: {requests(looks[end]) - began:,} requests, {end - place + 1} looks"
        parts.append(drawing.element("rect", f"<title>{hint}</title>", class_="block", **block))
        parts.append(drawing.line(left, top, right, top, "stair"))
        if right - left > 30:
            parts.append(drawing.text(f"{100 * share:g} %", (left + right) / 2, top - 6, "name", "middle"))
        began, place = requests(looks[end]), end + 1
    return parts

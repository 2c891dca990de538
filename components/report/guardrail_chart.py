"""One guardrail of the canary over the requests."""

from collections.abc import Mapping, Sequence
from typing import Any

from flywheel.components.report.limits_chart import LimitsPoint, limits_chart
from flywheel.components.report.ramp_chart import requests


def guardrail_chart(name: str, looks: Sequence[Mapping[str, Any]]) -> str:
    """Draw candidate against production with the limits of every look and the margin of every step.

    Args:
        name: Name of the guardrail.
        looks: Looks of the judge in order.

    Returns:
        An SVG element; "" when no look holds a value.
    """
    known = [
        (requests(look), metric)
        for look in looks
        for metric in look["metrics"]
        if metric["name"] == name and metric["difference"] is not None
    ]
    points = [
        LimitsPoint(
            at=at,
            label="",
            difference=one["difference"],
            lower=one["lower"],
            upper=one["upper"],
            margin=one["margin"],
            hot=one["outcome"] == "harm",
        )
        for at, one in known
    ]
    ratio = bool(known) and known[0][1]["scale"] == "ratio"
    return limits_chart(points, ratio, f"{name.replace('_', ' ')}: candidate against production over requests")

"""One watched measure of quality: its change since before, day by day, with limits and the tolerated change."""

from collections.abc import Mapping
from typing import Any

from flywheel.components.report.limits_chart import LimitsPoint, limits_chart


def quality_chart(alarm: Mapping[str, Any]) -> str:
    """Draw the change.

    Args:
        alarm: A measure as `monitoring.quality_alarm.QualityAlarm` in JSON.

    Returns:
        An SVG element; "" when the measure was not logged often enough.
    """
    looks = [look for look in alarm.get("looks", []) if look.get("change") is not None]
    tolerance = alarm.get("tolerance")
    if tolerance is None:
        return ""
    points = [
        LimitsPoint(
            at=place,
            label=str(look.get("at", ""))[5:10],
            difference=look["change"],
            lower=look.get("lower"),
            upper=look.get("upper"),
            margin=tolerance,
            hot=(look.get("lower") or 0.0) > tolerance,
        )
        for place, look in enumerate(looks)
    ]
    words = f"{str(alarm.get('measure', '')).replace('_', ' ')}: change against before, day by day"
    return limits_chart(points, alarm.get("scale") == "ratio", words)

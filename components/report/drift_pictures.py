"""The drift section's drawings: topic shares as the monitoring room draws them, and the change of each quality."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from flywheel.components.report.key_figures import percent
from flywheel.components.report.quality_chart import quality_chart


def topic_picture(drift: Mapping[str, Any]) -> str:
    """Draw topic shares before and now; "" when topics were not compared."""
    from flywheel.components.monitoring.drift_charts import topic_chart
    from flywheel.components.monitoring.topics import Topic

    names = {field.name for field in fields(Topic)}
    complete = [found for found in drift["topics"] if names <= found.keys()]  # an older record may lack a field
    topics = [Topic(**{name: found[name] for name in names}) for found in complete]
    return topic_chart(topics) if topics else ""


def quality_pictures(drift: Mapping[str, Any]) -> list[dict[str, str]]:
    """Draw each watched measure of quality: `title`, `outcome`, `words`, `svg` ("" when not logged often enough)."""
    return [
        {
            "title": str(found.get("measure", "")).replace("_", " ").capitalize(),
            "outcome": str(found.get("outcome", "")),
            "words": _words(found),
            "svg": quality_chart(found),
        }
        for found in drift["quality"]
    ]


def _words(found: Mapping[str, Any]) -> str:
    looks = found.get("looks") or []
    before = found.get("reference")
    if not looks or before is None:
        return "not logged often enough to judge"
    now = looks[-1]["value"]
    if found.get("scale") == "ratio":
        return f"{before:.0f} ms before, {now:.0f} ms now"
    return f"{percent(before)} before, {percent(now)} now"

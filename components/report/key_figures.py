"""The few figures that a reader wants first, in words; the same for the page, the Markdown summary and the terminal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class KeyFigure:
    """One figure: what it is, its value in words, and a note."""

    label: str
    value: str
    note: str = ""


def key_figures(figures: Mapping[str, Any]) -> list[KeyFigure]:
    """Pick the key figures of a run; those of steps that did not run are left out."""
    found = [make(figures) for make in (_feedback, _corrections, _primary, _users, _canary, _time)]
    return [one for one in found if one is not None]


def duration(seconds: float) -> str:
    """Render seconds as "4.1 s", "2 min 05 s" or "3 h 12 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def percent(share: float | None, digits: int = 1) -> str:
    """Render a share as "41.3 %", an unknown one as "–"."""
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def primary_metric(figures: Mapping[str, Any]) -> dict[str, Any] | None:
    """The verdict's first primary metric with a value for both models."""
    for metric in (figures.get("verdict") or {}).get("metrics", []):
        if metric.get("role") == "primary" and None not in (metric.get("production"), metric.get("candidate")):
            return dict(metric)
    return None


def estimate(metric: Mapping[str, Any], arm: str) -> str:
    """Render one arm's estimate: a share in percent, a quantity as it is."""
    value = metric.get(arm)
    if value is None:
        return "–"
    return f"{value:.1f}" if metric.get("scale") == "ratio" else percent(value)


def _border(figures: Mapping[str, Any], step: str) -> dict[str, Any] | None:
    return next((dict(line) for line in figures["borders"] if line["step"] == step), None)


def _feedback(figures: Mapping[str, Any]) -> KeyFigure | None:
    line = _border(figures, "intake_feedback")
    if line is None:
        return None
    quarantined = sum(line["quarantined"].values())
    return KeyFigure(
        "Log records read", f"{line['rows_in']:,}", f"{line['accepted']:,} kept, {quarantined:,} set aside"
    )


def _corrections(figures: Mapping[str, Any]) -> KeyFigure | None:
    first, last = _border(figures, "deduplicate_feedback"), _border(figures, "route_candidates")
    if last is None:
        return None
    note = f"of {first['rows_in']:,} written by users" if first is not None else ""
    return KeyFigure("Corrections accepted", f"{last['accepted']:,}", note)


def _primary(figures: Mapping[str, Any]) -> KeyFigure | None:
    metric = primary_metric(figures)
    if metric is None:
        return None
    value = f"{estimate(metric, 'production')} → {estimate(metric, 'candidate')}"
    return KeyFigure(str(metric["name"]).replace("_", " ").capitalize(), value, "production → candidate")


def _users(figures: Mapping[str, Any]) -> KeyFigure | None:
    total = figures["satisfaction"]["total"]
    if not total["rated"]:
        return None
    note = f"of {total['rated']:,} rated answers in the log"
    return KeyFigure("Thumbs up", percent(total["share"]), note)


def _canary(figures: Mapping[str, Any]) -> KeyFigure | None:
    looks = (figures.get("canary") or {}).get("looks") or []
    bad = next((one for one in looks[-1]["metrics"] if one["name"] == "bad_feedback"), None) if looks else None
    if bad is None:
        return None
    note = f"production → candidate, at {100 * looks[-1]['share']:g} % of users"
    value = f"{estimate(bad, 'production')} → {estimate(bad, 'candidate')}"
    return KeyFigure("Bad feedback on the canary", value, note)


def _time(figures: Mapping[str, Any]) -> KeyFigure | None:
    if figures["seconds"] is None:
        return None
    return KeyFigure("Time", duration(figures["seconds"]), f"{len(figures['steps'])} steps")

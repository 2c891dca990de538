"""The loop as ten stations with what each did, and the counts handed on between them."""

from collections.abc import Mapping
from typing import Any

from flywheel.components.contracts.lineage import StepRecord
from flywheel.components.report.outcome import Outcome

_STEPS: dict[str, tuple[str, ...]] = {
    "users": (),
    "intake": ("intake_feedback", "verify_anonymization"),
    "curation": (
        "deduplicate_feedback",
        "classify_corrections",
        "route_candidates",
        "cluster_feedback",
        "mine_preferences",
    ),
    "contract": ("validate_candidates", "check_trigger"),
    "dataset": ("assemble_dataset", "validate_training_data"),
    "training": ("train_model",),
    "gauntlet": ("evaluate_models", "decide_verdict"),
    "registry": ("register_model",),
    "canary": ("run_canary",),
    "production": ("promote_model", "restore_production"),
}
_TITLES = {"contract": "Contract", "gauntlet": "Gauntlet"}


def loop_stations(steps: Mapping[str, StepRecord], outcome: Outcome, users: int) -> list[dict[str, Any]]:
    """Describe the stations.

    Args:
        steps: The run's step records by step.
        outcome: How the run ended.
        users: Users in the log.

    Returns:
        For each station in order: key, title, state (done, decided, failed, idle), fact (words), handed_on (count to
        the next station, or None) and unit, exits (what left the loop there: label and count).
    """
    stations: list[dict[str, Any]] = []
    for key, names in _STEPS.items():
        present = [steps[name] for name in names if name in steps]
        stations.append(
            {
                "key": key,
                "title": _TITLES.get(key, key.capitalize()),
                "state": "done" if present else "idle",
                "fact": _FACTS[key](steps) if key != "users" else (f"{users:,} users" if users else ""),
                **dict(zip(("handed_on", "unit"), _handed_on(key, steps), strict=True)),
                "exits": _exits(names, steps),
            }
        )
        if outcome.step in names and outcome.decision in ("rolled back", "held"):
            stations[-1]["state"] = "decided"
    stations[0]["state"] = "done" if users else "idle"
    if outcome.decision == "failed" and steps:  # without a record the inputs were refused: before the first station
        last = max((place for place, one in enumerate(stations) if one["state"] != "idle" and place), default=0)
        stopped = next(
            (one for one in stations[last:] if one["key"] != "users" and _unfinished(one["key"], steps)), None
        )
        if stopped is not None:
            stopped["state"] = "failed"
    return stations


def _unfinished(key: str, steps: Mapping[str, StepRecord]) -> bool:
    names = _STEPS[key]
    return not any(name in steps for name in names) if key == "production" else not set(names) <= steps.keys()


def _handed_on(key: str, steps: Mapping[str, StepRecord]) -> tuple[int | None, str]:
    wanted = {
        "users": ("intake_feedback", "rows_in", "records"),
        "intake": ("deduplicate_feedback", "rows_in", "corrections"),
        "curation": ("route_candidates", "accepted", "candidates"),
        "contract": ("assemble_dataset", "rows_in", "candidates"),
        "dataset": ("train_model", "accepted", "rows"),
    }
    step, field, unit = wanted.get(key, ("", "", ""))
    record = steps.get(step)
    if record is None or record.rows is None:
        return None, ""
    return int(getattr(record.rows, field)), unit


def _exits(names: tuple[str, ...], steps: Mapping[str, StepRecord]) -> list[dict[str, Any]]:
    sums = {"duplicates": 0, "in review": 0, "set aside": 0}
    for name in names:
        record = steps.get(name)
        if record is None or record.rows is None or name == "mine_preferences":
            continue
        sums["duplicates"] += record.rows.duplicates
        sums["in review"] += record.rows.in_review
        sums["set aside"] += sum(record.rows.quarantined.values())
    return [{"label": label, "count": count} for label, count in sums.items() if count]


def _rows(step: str, steps: Mapping[str, StepRecord]) -> str:
    record = steps.get(step)
    return "" if record is None or record.rows is None else f"{record.rows.accepted:,}"


def _intake(steps: Mapping[str, StepRecord]) -> str:
    count = _rows("intake_feedback", steps)
    return f"{count} kept" if count else ""


def _curation(steps: Mapping[str, StepRecord]) -> str:
    count = _rows("route_candidates", steps)
    return f"{count} accepted" if count else ""


def _contract(steps: Mapping[str, StepRecord]) -> str:
    record = steps.get("validate_candidates")
    if record is None:
        return ""
    checks = record.details.get("expectations")
    return f"{record.outcome}, {checks} checks" if checks else record.outcome


def _dataset(steps: Mapping[str, StepRecord]) -> str:
    record = steps.get("assemble_dataset")
    manifest = record.details.get("manifest") if record is not None else None
    split = (manifest or {}).get("splits", {}).get("sft", {}) if isinstance(manifest, dict) else {}
    return f"{split['rows']:,} rows" if "rows" in split else ""


def _training(steps: Mapping[str, StepRecord]) -> str:
    record = steps.get("train_model")
    loss = record.metrics.get("loss") if record is not None else None
    return "" if loss is None else f"loss {loss:.3f}"


def _gauntlet(steps: Mapping[str, StepRecord]) -> str:
    return steps["decide_verdict"].outcome if "decide_verdict" in steps else ""


def _registry(steps: Mapping[str, StepRecord]) -> str:
    version = steps["register_model"].details.get("version") if "register_model" in steps else None
    return f"version {version}" if version else ""


def _canary(steps: Mapping[str, StepRecord]) -> str:
    return steps["run_canary"].outcome if "run_canary" in steps else ""


def _production(steps: Mapping[str, StepRecord]) -> str:
    if "promote_model" in steps:
        return f"version {steps['promote_model'].details.get('version', '?')} now"
    return "unchanged" if "restore_production" in steps else ""


_FACTS = {
    "intake": _intake,
    "curation": _curation,
    "contract": _contract,
    "dataset": _dataset,
    "training": _training,
    "gauntlet": _gauntlet,
    "registry": _registry,
    "canary": _canary,
    "production": _production,
}

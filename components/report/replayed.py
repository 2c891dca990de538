"""What was tried on the models before users met them: the attack, and replay beside what the canary showed."""

from collections.abc import Mapping
from typing import Any

from flywheel.components.contracts.lineage import StepRecord

_CHECKED = (
    "predicted", "predicted_lower", "predicted_upper", "observed", "observed_lower", "observed_upper",
    "expected_lower", "expected_upper",
)  # fmt: skip


def attack(record: StepRecord | None) -> dict[str, Any] | None:
    """Take the attack's shares by model and what it spent out of its step record; None when it did not run."""
    if record is None:
        return None
    shares: dict[str, dict[str, float | None]] = {}
    for name, value in record.metrics.items():
        measure, _, arm = name.rpartition("/")
        if arm in ("production", "candidate"):
            shares.setdefault(measure, {"production": None, "candidate": None})[arm] = value
    spent = {name: value for name, value in record.details.items() if isinstance(value, int | float)}
    return {"shares": shares, "spent": spent, "attacker": str(record.details.get("attacker") or "")}


def predicted_lines(steps: Mapping[str, StepRecord]) -> list[dict[str, Any]]:
    """One line a metric: predicted and, once the canary was checked, observed.

    Args:
        steps: Step records by step.

    Returns:
        Lines of the check; before it (or when the run stopped on the way) lines of the prediction alone.
    """
    check = steps["check_prediction"].details.get("check") if "check_prediction" in steps else None
    if isinstance(check, dict):
        return list(check.get("metrics", []))
    prediction = steps["predict_canary"].details.get("prediction") if "predict_canary" in steps else None
    lines = []
    for metric in (prediction or {}).get("metrics", []):
        line = dict.fromkeys(_CHECKED) | {"name": metric["name"], "scale": metric["scale"], "outcome": "unknown"}
        line |= {"predicted": metric["difference"], "reason": metric["reason"]}
        lines.append(line | {"predicted_lower": metric["lower"], "predicted_upper": metric["upper"]})
    return lines

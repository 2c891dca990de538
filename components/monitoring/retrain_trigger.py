"""When to train: enough corrections for this turn, and the signal that asks for the next one."""

from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc

from flywheel.components.contracts.tables import CandidateSnapshot
from flywheel.components.monitoring.alerts import Alert
from flywheel.components.monitoring.drift_check import DriftReport

# Training helps against these; errors and latency are faults of serving, which a new model would not mend.
_ASKS_FOR_TRAINING = ("bad_feedback_rose", "topic_shift", "prompt_shift")


@dataclass(frozen=True)
class Trigger:
    """Whether there is enough to train on.

    Attributes:
        outcome: "train" or "hold".
        have: Accepted candidates.
        need: Accepted candidates wanted.
        candidates: Candidates of the run, accepted or not.
        words: What is missing, as "not enough data, have 12, need 200 (188 more)".
    """

    outcome: str
    have: int
    need: int
    candidates: int
    words: str


def check_candidates(snapshot: str, min_candidates: int, contract: str = "pass") -> Trigger:
    """Count the accepted candidates of a run.

    No test and no error rate: the minimum is a budget decision, what the training yields is judged by the gauntlet.

    Args:
        snapshot: Path of a candidate snapshot document.
        min_candidates: Accepted candidates that are worth a training, at least 1.
        contract: "pass", or how the data contract of the candidates ended; nothing trains on data that broke it.

    Returns:
        The trigger; "hold" with none at all, too.

    Raises:
        ValueError: `min_candidates` is below 1, or the snapshot or its table cannot be read.
    """
    from flywheel.components.store import delta_table

    if min_candidates < 1:
        raise ValueError(f"min_candidates must be at least 1 (accepted candidates), got {min_candidates}")
    document = CandidateSnapshot.read(snapshot)
    rows = delta_table.read(
        document.candidates, columns=["candidate_id", "route"], where=pc.field("run_id") == document.run_id
    )
    have = int(pc.sum(pc.equal(rows["route"], "accept")).as_py() or 0)
    if contract != "pass":
        words = f"the data contract of the candidates ended with {contract!r}; nothing trains on them"
        return Trigger("hold", have, min_candidates, rows.num_rows, words)
    if have >= min_candidates:
        words = f"enough data, have {have}, need {min_candidates}"
        return Trigger("train", have, min_candidates, rows.num_rows, words)
    words = f"not enough data, have {have}, need {min_candidates} ({min_candidates - have} more)"
    waiting = int(pc.sum(pc.equal(rows["route"], "review")).as_py() or 0)
    if waiting:
        words += f"; {waiting} wait for people's answers (`flywheel review export`)"
    return Trigger("hold", have, min_candidates, rows.num_rows, words)


def retrain_signal(report: DriftReport) -> dict[str, Any] | None:
    """Ask for the next turn when the world or the users' content with the answers changed.

    Args:
        report: What the detectors say.

    Returns:
        `{"trigger": "retrain", "reasons": [...]}`, or None when nothing speaks for training.
    """
    reasons = [reason for reason in report.reasons if reason.split(":")[0] in _ASKS_FOR_TRAINING]
    return {"trigger": "retrain", "reasons": reasons} if reasons else None


def alerts_of(report: DriftReport, run_id: str) -> list[Alert]:
    """Turn a report into alerts.

    Args:
        report: What the detectors say.
        run_id: Run that the report belongs to.

    Returns:
        One alert per reason code, and the retrain signal as the last; none unless the outcome is "alert".
    """
    if report.outcome != "alert":
        return []
    at = str(report.windows["current"]["last"])
    evidence = {"alpha": report.alpha, "windows": report.windows}
    made: dict[str, Alert] = {}
    for reason in report.reasons:
        code, words = reason.split(": ", 1)
        if code in made:  # several numbers moved: one alert names them all
            words = f"{made[code].summary}; {words}"
        severity, action = _ACTIONS[code]
        made[code] = Alert(
            run_id=run_id,
            kind=code,
            severity="critical" if severity == "critical" else "warning",
            reason=code,
            summary=words,
            what_to_do=action,
            at=at,
            evidence=evidence,
        )
    signal = retrain_signal(report)
    if signal is not None:
        made["retrain"] = Alert(
            run_id=run_id,
            kind="retrain",
            severity="info",
            reason="retrain",
            summary=f"the next turn should train: {', '.join(reason.split(':')[0] for reason in signal['reasons'])}",
            what_to_do="Run the flywheel pipeline on the newest log; it holds by itself when there is too little data.",
            at=at,
            evidence=evidence | signal,
        )
    return list(made.values())


_ACTIONS: dict[str, tuple[str, str]] = {
    "bad_feedback_rose": (
        "critical",
        "Look at the newest corrections and topics; if a rollout is under way, hold or roll it back, then retrain.",
    ),
    "errors_rose": (
        "critical",
        "Look at the model servers' logs and capacity; roll back the last rollout if it fits in time.",
    ),
    "latency_rose": (
        "warning",
        "Look at the load and the answers' length on the model servers; scale out or roll back.",
    ),
    "topic_shift": ("warning", "Read the topics that grew; add them to the golden file and retrain."),
    "prompt_shift": ("warning", "Read the prompts named as new; add their kind to the golden file and retrain."),
    "number_shift": (
        "warning",
        "Compare the number's two medians; a jump often means a changed client or prompt template.",
    ),
}

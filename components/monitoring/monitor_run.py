"""The drift step: read the log of a snapshot, run the detectors, write page, summary and alerts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flywheel.components.contracts.tables import FeedbackSnapshot
from flywheel.components.monitoring import alerts as alert_lines
from flywheel.components.monitoring import drift_page
from flywheel.components.monitoring.drift_check import FEEDBACK_COLUMNS, INTERACTION_COLUMNS, DriftReport, check_drift
from flywheel.components.monitoring.retrain_trigger import alerts_of


@dataclass(frozen=True)
class MonitorSummary:
    """What the step did.

    Attributes:
        report: What the detectors say.
        alerts: Alerts of the report.
        written: Alert lines that were new in the file.
        alerts_path: File that they went to; "" if nowhere.
    """

    report: DriftReport
    alerts: list[alert_lines.Alert]
    written: int
    alerts_path: str

    def details(self) -> dict[str, Any]:
        """What the step record keeps for the report, JSON values."""
        found = self.report.to_json()
        topics = found.pop("topics")
        quality = found.pop("quality")
        return {
            "drift": found | {"total_variation": topics["total_variation"] if topics else None},
            "quality": quality,
            "topics": topics["topics"] if topics else [],
            "alerts": [alert.to_json() for alert in self.alerts],
            "alerts_path": self.alerts_path,
        }

    def metrics(self) -> dict[str, float]:
        """Numbers for the pipeline's metrics; what was not measured is left out."""
        report = self.report
        numbers: dict[str, float] = {"alerts": float(len(self.alerts)), "alpha": report.alpha}
        for name, window in report.windows.items():
            numbers[f"{name}_rows"] = float(window["rows"])
        for test in report.tests:
            numbers[f"p_{test.name.split(' (')[0].replace(' ', '_')}"] = test.adjusted
        if report.topics is not None:
            numbers["topic_total_variation"] = report.topics.total_variation
        if report.prompts is not None:
            numbers["prompt_auc"] = report.prompts.auc
        for alarm in report.quality:
            if alarm.looks:
                numbers[f"{alarm.measure}_change"] = alarm.looks[-1].change
                numbers[f"{alarm.measure}_lower"] = alarm.looks[-1].lower
        return numbers


def monitor(
    snapshot: str,
    run_id: str,
    html: str,
    markdown: str,
    alerts: str = "",
    current_days: float = 7.0,
    alpha: float = 0.01,
) -> MonitorSummary:
    """Look for drift and worse answers in the log that a snapshot names.

    Args:
        snapshot: Path of a feedback snapshot document.
        run_id: Run that the alerts belong to.
        html: Path of the page to write.
        markdown: Path of the summary to write.
        alerts: JSON-lines file for alerts; empty: `alerts.jsonl` in a store on this machine, nowhere for a remote one.
        current_days: Length of the current window, days.
        alpha: Chance of any false alarm in a stable window.

    Returns:
        What was found and written.

    Raises:
        ValueError: The snapshot or its tables cannot be read, or an argument is out of range.
    """
    from flywheel.components.store import location, observed

    document = FeedbackSnapshot.read(snapshot)
    interactions = observed.read(document.interactions, columns=INTERACTION_COLUMNS)
    feedback = observed.read(document.feedback, columns=FEEDBACK_COLUMNS)
    report = check_drift(interactions, feedback, current_days, alpha)
    raised = alerts_of(report, run_id)
    folder = location.local_folder(document.interactions.store)
    path = alerts or (str(Path(folder) / "alerts.jsonl") if folder is not None else "")
    written = alert_lines.append(path, raised) if path and raised else 0
    drift_page.write_whole(html, drift_page.render_html(report, raised))
    drift_page.write_whole(markdown, drift_page.render_markdown(report, raised))
    return MonitorSummary(report=report, alerts=raised, written=written, alerts_path=path if raised else "")

"""Pipeline `monitor-model`: has the traffic, or how users take the answers, changed? Alerts and the next trigger."""

from kfp import dsl

from flywheel.components.monitoring.component import detect_drift
from flywheel.components.store.component import snapshot_feedback
from flywheel.pipelines.task_settings import step


@dsl.pipeline(name="monitor-model", description="Input drift and quality alarms with a stated false-alarm rate.")
def monitor_model(store: str, run_id: str, alerts: str = "", current_days: float = 7.0, alpha: float = 0.01) -> str:
    """Compare the last days of the log with everything before.

    Args:
        store: URI of the feedback store.
        run_id: Identity of the run.
        alerts: JSON-lines file that alerts are appended to; empty: in the store's folder or nowhere.
        current_days: Length of the current window, days.
        alpha: False alarms a stable window may raise, over all detectors.

    Returns:
        `alert`, `quiet` or `unknown`.
    """
    snapshot = step(snapshot_feedback(store=store, run_id=run_id))
    drift = step(
        detect_drift(
            feedback=snapshot.outputs["feedback"],
            store=store,
            run_id=run_id,
            alerts=alerts,
            current_days=current_days,
            alpha=alpha,
        )
    )
    return drift.outputs["Output"]

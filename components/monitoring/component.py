"""KFP components of monitoring: is there enough to train on, and did the world or the answers change?"""

from kfp import dsl

from flywheel.components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def check_trigger(
    candidates: dsl.Input[dsl.Dataset], store: str, run_id: str, min_candidates: int = 200, contract: str = "pass"
) -> str:
    """Decide whether enough corrections were accepted for a training.

    Args:
        candidates: Candidate snapshot (`flywheel.candidates/v1`).
        store: URI of the feedback store; the step records itself there.
        run_id: Run that this step belongs to.
        min_candidates: Accepted candidates that are worth a training, at least 1.
        contract: Outcome of `validate_candidates`; anything but "pass" holds.

    Returns:
        "train" or "hold"; the record says how many there are and how many are missing.

    Raises:
        ValueError: The snapshot cannot be read, or min_candidates is below 1.
    """
    from datetime import UTC, datetime

    from flywheel.components.contracts.lineage import StepRecord
    from flywheel.components.monitoring import retrain_trigger
    from flywheel.components.store import lineage

    started = datetime.now(UTC)
    trigger = retrain_trigger.check_candidates(candidates.path, int(min_candidates), contract)
    record = StepRecord(
        run_id=run_id,
        step="check_trigger",
        started_at=started,
        finished_at=datetime.now(UTC),
        outcome=trigger.outcome if trigger.outcome == "train" else trigger.words,
        metrics={"have": float(trigger.have), "need": float(trigger.need)},
        details={"have": trigger.have, "need": trigger.need, "candidates": trigger.candidates, "words": trigger.words},
    )
    lineage.record_step(store, record)
    print(f"{trigger.outcome}: {trigger.words}")
    return trigger.outcome


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def record_hold(reason: str, store: str, run_id: str) -> str:
    """End a branch that does not train, so that the run says why.

    Args:
        reason: Why, in words.
        store: URI of the feedback store; the step records itself there.
        run_id: Run that this step belongs to.

    Returns:
        "hold".
    """
    from datetime import UTC, datetime

    from flywheel.components.contracts.lineage import StepRecord
    from flywheel.components.store import lineage

    now = datetime.now(UTC)
    record = StepRecord(run_id=run_id, step="record_hold", started_at=now, finished_at=now, outcome=f"hold: {reason}")
    lineage.record_step(store, record)
    return "hold"


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def detect_drift(
    feedback: dsl.Input[dsl.Dataset],
    store: str,
    run_id: str,
    drift: dsl.Output[dsl.HTML],
    summary: dsl.Output[dsl.Markdown],
    metrics: dsl.Output[dsl.Metrics],
    alerts: str = "",
    current_days: float = 7.0,
    alpha: float = 0.01,
) -> str:
    """Compare the last days of the log with everything before: topics, prompts, lengths, latency, errors, feedback.

    Args:
        feedback: Feedback snapshot (`flywheel.snapshot/v1`).
        store: URI of the feedback store; the step records itself there.
        run_id: Run that this step belongs to.
        drift: Report with charts, a self-contained page.
        summary: The same in short.
        metrics: Adjusted p-values and changes.
        alerts: JSON-lines file that alerts are appended to, once per run and kind; empty: `alerts.jsonl` in the store's
            folder, or nowhere for a store that is not on this machine.
        current_days: Length of the current window, days.
        alpha: Chance of any false alarm in a stable window, over all detectors, in [0.0005, 0.5].

    Returns:
        "alert", "quiet" (no change shown) or "unknown" (too few rows or users in a window).

    Raises:
        ValueError: The snapshot cannot be read or an argument is out of range.
    """
    from datetime import UTC, datetime

    from flywheel.components.contracts.lineage import StepRecord
    from flywheel.components.monitoring import monitor_run
    from flywheel.components.store import lineage

    started = datetime.now(UTC)
    found = monitor_run.monitor(feedback.path, run_id, drift.path, summary.path, alerts, current_days, alpha)
    for name, value in found.metrics().items():
        metrics.log_metric(name, value)
    record = StepRecord(
        run_id=run_id,
        step="detect_drift",
        started_at=started,
        finished_at=datetime.now(UTC),
        outcome=found.report.outcome,
        metrics=found.metrics(),
        details=found.details(),
    )
    lineage.record_step(store, record)
    print(f"{found.report.outcome}: {'; '.join(found.report.reasons)}")
    return found.report.outcome

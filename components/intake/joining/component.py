"""KFP component of joining: feedback meets its answer, and conversations say what their users did not."""

from kfp import dsl

from flywheel.components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def join_feedback(
    feedback: dsl.Input[dsl.Dataset],
    joined: dsl.Output[dsl.Dataset],
    waiting: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    store: str,
    run_id: str,
    abandon_after_minutes: float = 30.0,
    min_confidence: float = 0.5,
) -> int:
    """Join late feedback to its answer and mine implicit signals from next turns; nothing mined counts as a vote.

    Args:
        feedback: Snapshot document (`flywheel.snapshot/v1`) of intake.
        joined: Snapshot document naming the feedback version with the derived rows.
        waiting: JSON lines, the feedback whose answer has not arrived, with its age in hours.
        metrics: Feedback rows joined, superseded and waiting; signals mined by name.
        store: URI of the feedback store.
        run_id: Run that the rows belong to.
        abandon_after_minutes: A user who is silent for so long, by the log's time, has left; minutes.
        min_confidence: Signals of rules with a lower measured confidence are counted and not written, in [0, 1].

    Returns:
        Signals mined.

    Raises:
        IntakeError: A parameter is out of range.
        StoreError: The store cannot be read or written.
    """
    from flywheel.components.contracts.tables import FeedbackSnapshot
    from flywheel.components.intake.joining.join import join
    from flywheel.components.store import lineage

    snapshot = FeedbackSnapshot.read(feedback.path)
    summary = join(snapshot, store, run_id, waiting.path, float(abandon_after_minutes), float(min_confidence))
    record = summary.record(run_id)
    lineage.record_step(store, record)
    summary.snapshot.write(joined.path)
    joined.metadata.update(outcome=summary.words())
    for name, value in record.metrics.items():
        metrics.log_metric(name, value)
    print(summary.words())
    return sum(summary.signals.values())

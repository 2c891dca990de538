"""KFP components of intake: logs in, anonymized feedback store out; and the proof that it is anonymized."""

from kfp import dsl

from flywheel.components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def intake_feedback(
    logs: str,
    store: str,
    run_id: str,
    feedback: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    log_format: str = "auto",
    rating_rule: str = "",
    engine: str = "native",
    ray_address: str = "",
) -> int:
    """Bring interaction logs and feedback into the feedback store; personal data is scrubbed before the first write.

    Args:
        logs: File, folder, glob or object-store URI of the logs; plain, gzipped or zstandard.
        store: URI of the feedback store (local folder or object store).
        run_id: Run that the rows belong to.
        feedback: Snapshot document (`flywheel.snapshot/v1`) naming the table versions after intake.
        metrics: Rows in, accepted, duplicates, quarantined by reason.
        log_format: auto, feedback, csv, parquet, openai, otel, openinference, langfuse, tensorzero, kserve or
            preferences.
        rating_rule: JSON object: which named scores are ratings, on which scale (README); empty for the stated rule.
        engine: Where texts are scrubbed: native (this pod) or ray (a cluster); both give the same rows.
        ray_address: For ray: host:port or ray://host:port of the cluster's head; empty: the variable RAY_ADDRESS.

    Returns:
        Accepted rows.

    Raises:
        IntakeError: Logs or pseudonym key cannot be used; bad rows are quarantined instead.
        EngineError: Ray is not installed, or nobody answers at its address.

    Environment:
        RAY_ADDRESS: Address of the Ray cluster for engine ray, when none is given.
        FLYWHEEL_PSEUDONYM_KEY: Secret key of the pseudonyms, at least 16 bytes; required for a remote store.
        FLYWHEEL_STORAGE_OPTIONS: JSON object of options for the object store.
    """
    from flywheel.components.intake.ingest import ingest
    from flywheel.components.store import lineage

    on = {"engine": engine, "ray_address": ray_address}
    summary = ingest(logs, store, run_id, log_format, rating_rule=rating_rule, **on)
    record = summary.record(run_id)
    lineage.record_step(store, record)
    summary.snapshot.write(feedback.path)
    feedback.metadata.update(rows=summary.accepted, outcome=summary.words())
    for name, value in record.metrics.items():
        metrics.log_metric(name, value)
    for reason, count in sorted(summary.quarantined.items()):
        metrics.log_metric(f"quarantined_{reason}", count)
    return summary.accepted


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def verify_anonymization(
    feedback: dsl.Input[dsl.Dataset],
    store: str,
    run_id: str,
    report: dsl.Output[dsl.Markdown],
    metrics: dsl.Output[dsl.Metrics],
) -> int:
    """Scan the store for personal data with patterns of another hand than intake's; any match fails the step.

    Args:
        feedback: Snapshot of the tables after intake.
        store: URI of the feedback store, for the step's record.
        run_id: Run that asks.
        report: Matches by table, column and type; never the matches themselves.
        metrics: Rows scanned, matches.

    Returns:
        Matches found: 0, or the step has failed.

    Raises:
        ResidualPersonalData: Personal data is left in the tables.
    """
    from pathlib import Path

    from flywheel.components.contracts.tables import FeedbackSnapshot
    from flywheel.components.intake.verification import verify
    from flywheel.components.store import lineage

    result = verify(FeedbackSnapshot.read(feedback.path))
    record = result.record(run_id)
    lineage.record_step(store, record)
    Path(report.path).write_text(result.markdown(), encoding="utf-8")
    for name, value in record.metrics.items():
        metrics.log_metric(name, value)
    result.raise_if_any()
    return result.residual

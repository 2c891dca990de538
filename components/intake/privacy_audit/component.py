"""KFP component: how much personal data intake would leave readable in logs such as these."""

from kfp import dsl

from flywheel.components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def audit_privacy(
    logs: str,
    store: str,
    run_id: str,
    report: dsl.Output[dsl.Markdown],
    audit: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    log_format: str = "auto",
    canaries: int = 200,
    rows: int = 400,
    least: str = "",
    seed: int = 7,
) -> str:
    """Put made-up personal data of every type into a sample of the logs, run the real intake, search what it stored.

    A type passes when the exact 95 % lower bound of its recall reaches its threshold: one whose true recall is lower
    passes in at most 5 % of audits. The sample lives in a temporary folder that is deleted also on failure.

    Args:
        logs: What intake gets: file, folder, glob or object-store URI. Only read.
        store: URI of the feedback store, for the step's record.
        run_id: Run that asks.
        report: Recall, bound and threshold by type; over-scrubbing.
        audit: The same as `flywheel.privacy-audit/v1` (JSON).
        metrics: Recall and lower bound by type, share of over-scrubbed tokens.
        log_format: As intake's.
        canaries: Canaries of each type.
        rows: Most rows of the logs to put them in.
        least: Thresholds that differ from the defaults, as `card=0.9,street_address=0`.
        seed: The same seed gives the same audit.

    Returns:
        "passed", "nothing to audit" when no row can take a canary, or the step has failed.

    Raises:
        PersonalDataLeaks: A type's bound is under its threshold; the message says which and what to do.
        IntakeError: The logs cannot be read.
    """
    import json
    from pathlib import Path

    from flywheel.components.intake.privacy_audit import gate
    from flywheel.components.intake.privacy_audit import report as pages
    from flywheel.components.intake.privacy_audit.audit import audit_if_any as core
    from flywheel.components.store import lineage

    thresholds = gate.parse_least(least)
    result = core(logs, log_format, seed=seed, canaries=canaries, rows=rows)
    document = pages.document(result, thresholds)
    Path(audit.path).write_text(json.dumps(document, indent=2), encoding="utf-8")
    Path(report.path).write_text(pages.markdown(result, thresholds), encoding="utf-8")
    record = result.record(run_id, document["outcome"])
    lineage.record_step(store, record)
    for name, value in record.metrics.items():
        metrics.log_metric(name, value)
    gate.raise_if_any(result, thresholds)
    return str(document["outcome"])

"""Pipeline `ingest-feedback`: logs of any supported format become scrubbed rows in the feedback store."""

from kfp import dsl

from flywheel.components.intake.component import intake_feedback, verify_anonymization
from flywheel.components.intake.joining.component import join_feedback
from flywheel.components.intake.privacy_audit.component import audit_privacy
from flywheel.pipelines.task_settings import step, with_pseudonym_key


@dsl.pipeline(name="ingest-feedback", description="Scrub, pseudonymise, store and join feedback; audit the privacy.")
def ingest_feedback(
    logs: str,
    store: str,
    run_id: str,
    log_format: str = "auto",
    rating_rule: str = "",
    least_recall: str = "",
    engine: str = "native",
    ray_address: str = "",
) -> int:
    """Bring feedback in.

    Args:
        logs: File, folder, glob or URI of feedback logs.
        store: URI of the feedback store (local folder or s3:// gs:// abfs://).
        run_id: Identity of the run; the same id again is a retry.
        log_format: `auto` or the name of a format (components/intake/README.md).
        rating_rule: JSON object: which named scores of a log are ratings, on which scale; empty: the stated rule.
        least_recall: Thresholds of the privacy audit that differ from its own, as `card=0.9,street_address=0`.
        engine: Where big tables are processed: `native` (the pod) or `ray` (a cluster); both give the same rows.
        ray_address: For `ray`: address of the cluster's head; empty: the variable RAY_ADDRESS.

    Returns:
        Residual PII matches; the pipeline fails when there are any.
    """
    intake = step(
        with_pseudonym_key(
            intake_feedback(
                logs=logs,
                store=store,
                run_id=run_id,
                log_format=log_format,
                rating_rule=rating_rule,
                engine=engine,
                ray_address=ray_address,
            )
        )
    )
    step(audit_privacy(logs=logs, store=store, run_id=run_id, log_format=log_format, least=least_recall).after(intake))
    joined = step(join_feedback(feedback=intake.outputs["feedback"], store=store, run_id=run_id))
    check = step(verify_anonymization(feedback=joined.outputs["joined"], store=store, run_id=run_id))
    return check.outputs["Output"]

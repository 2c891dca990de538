"""Pipeline `ingest-feedback`: logs of any supported format become scrubbed rows in the feedback store."""

from kfp import dsl

from flywheel.components.intake.component import intake_feedback, verify_anonymization
from flywheel.components.intake.joining.component import join_feedback
from flywheel.pipelines.task_settings import step, with_pseudonym_key


@dsl.pipeline(name="ingest-feedback", description="Scrub, pseudonymise and store feedback; verify that no PII is left.")
def ingest_feedback(logs: str, store: str, run_id: str, log_format: str = "auto") -> int:
    """Bring feedback in.

    Args:
        logs: File, folder, glob or URI of feedback logs.
        store: URI of the feedback store (local folder or s3:// gs:// abfs://).
        run_id: Identity of the run; the same id again is a retry.
        log_format: `auto` or the name of a format (components/intake/README.md).

    Returns:
        Residual PII matches; the pipeline fails when there are any.
    """
    intake = step(with_pseudonym_key(intake_feedback(logs=logs, store=store, run_id=run_id, log_format=log_format)))
    joined = step(join_feedback(feedback=intake.outputs["feedback"], store=store, run_id=run_id))
    check = step(verify_anonymization(feedback=joined.outputs["joined"], store=store, run_id=run_id))
    return check.outputs["Output"]

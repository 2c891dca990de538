"""KFP components of validation: contracts that stop training on broken data."""

from kfp import dsl

from flywheel.components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def validate_candidates(
    candidates: dsl.Input[dsl.Dataset],
    store: str,
    run_id: str,
    result: dsl.Output[dsl.Artifact],
    page: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> str:
    """Hold the candidates of a run against their Great Expectations contract.

    Args:
        candidates: Candidate snapshot (`flywheel.candidates/v1`).
        store: URI of the feedback store; the step records itself there.
        run_id: Run that this step belongs to.
        result: Every check with its outcome, JSON (`flywheel.validation/v1`).
        page: The same as a self-contained page.
        metrics: Checks, failures, warnings and rows.

    Returns:
        "pass", or "fail" when a critical check is broken; no candidates at all pass (the trigger holds them).

    Raises:
        ValueError: The snapshot or its table cannot be read.
    """
    from datetime import UTC, datetime

    from flywheel.components.contracts.lineage import StepRecord
    from flywheel.components.store import lineage
    from flywheel.components.validation import checked_data

    started = datetime.now(UTC)
    outcome, results = checked_data.validate_candidates(candidates.path, result.path, page.path)
    numbers = checked_data.metrics(results)
    for name, value in numbers.items():
        metrics.log_metric(name, value)
    record = StepRecord(
        run_id=run_id,
        step="validate_candidates",
        started_at=started,
        finished_at=datetime.now(UTC),
        rows=checked_data.row_counts(outcome, results),
        outcome=outcome,
        metrics=numbers,
        details=checked_data.details(results),
    )
    lineage.record_step(store, record)
    return outcome


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def validate_training_data(
    sft: dsl.Input[dsl.Dataset],
    preferences: dsl.Input[dsl.Dataset],
    store: str,
    run_id: str,
    result: dsl.Output[dsl.Artifact],
    page: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> str:
    """Hold the SFT set and the preference set against their Great Expectations contracts.

    Args:
        sft: SFT set saved by `datasets` (prompt, completion, provenance).
        preferences: Preference set saved by `datasets` (prompt, chosen, rejected); may be empty.
        store: URI of the feedback store; the step records itself there.
        run_id: Run that this step belongs to.
        result: Every check with its outcome, JSON (`flywheel.validation/v1`).
        page: The same as a self-contained page.
        metrics: Checks, failures, warnings and rows.

    Returns:
        "pass", or "fail" when a critical check of either set is broken.

    Raises:
        ValueError: A folder is not a saved dataset.
    """
    from datetime import UTC, datetime

    from flywheel.components.contracts.lineage import StepRecord
    from flywheel.components.store import lineage
    from flywheel.components.validation import checked_data

    started = datetime.now(UTC)
    outcome, results = checked_data.validate_training_data(sft.path, preferences.path, result.path, page.path)
    numbers = checked_data.metrics(results)
    for name, value in numbers.items():
        metrics.log_metric(name, value)
    record = StepRecord(
        run_id=run_id,
        step="validate_training_data",
        started_at=started,
        finished_at=datetime.now(UTC),
        rows=checked_data.row_counts(outcome, results),
        outcome=outcome,
        metrics=numbers,
        details=checked_data.details(results),
    )
    lineage.record_step(store, record)
    return outcome

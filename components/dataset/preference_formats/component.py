"""KFP component: preferences in the formats of TRL's trainers."""

from kfp import dsl

from flywheel.components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def export_preferences(
    preferences: dsl.Input[dsl.Dataset],
    rated: dsl.Input[dsl.Dataset],
    evaluation: dsl.Input[dsl.Dataset],
    dpo: dsl.Output[dsl.Dataset],
    kto: dsl.Output[dsl.Dataset],
    reward: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    store: str,
    run_id: str,
) -> int:
    """Write preferences as files for TRL's DPOTrainer, KTOTrainer and RewardTrainer; nothing near to what evaluates.

    Args:
        preferences: Training pairs of `assemble_dataset`.
        rated: Rated answers of `mine_preferences`.
        evaluation: Evaluation items of `assemble_dataset`.
        dpo: Folder for `datasets.load_dataset`: prompt, chosen, rejected (messages), and where each row is from.
        kto: The same for prompt, completion, label.
        reward: The same for chosen, rejected, as whole conversations.
        metrics: Rows by format, desirable and undesirable rows, rows kept out.
        store: URI of the feedback store; the step records itself there.
        run_id: Run that this step belongs to.

    Returns:
        Pairs written.

    Raises:
        FileNotFoundError: An input does not exist.
        ValueError: An input is not what the step before writes.
    """
    from datetime import UTC, datetime

    from flywheel.components.contracts.lineage import StepRecord
    from flywheel.components.dataset.preference_formats.export import export
    from flywheel.components.store import lineage

    started = datetime.now(UTC)
    done = export(preferences.path, rated.path, evaluation.path, dpo.path, kto.path, reward.path)
    counts = {f"rows_{name}": float(count) for name, count in done.written.items()}
    counts |= {name: float(done.details["kto_balance"][name]) for name in ("desirable", "undesirable")}
    for name, value in counts.items():
        metrics.log_metric(name, value)
    kto.metadata.update(done.details["kto_balance"])
    record = StepRecord(
        run_id=run_id,
        step="export_preferences",
        started_at=started,
        finished_at=datetime.now(UTC),
        rows=done.rows,
        metrics=counts,
        details=done.details,
    )
    lineage.record_step(store, record)
    return done.written["dpo"]

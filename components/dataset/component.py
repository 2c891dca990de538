"""The KFP component of the dataset room."""

from kfp import dsl

from flywheel.components import images


@dsl.component(base_image=images.DATA, install_kfp_package=False)
def assemble_dataset(
    candidates: dsl.Input[dsl.Dataset],
    pairs: dsl.Input[dsl.Dataset],
    replay_data: str,
    golden: str,
    sft: dsl.Output[dsl.Dataset],
    preferences: dsl.Output[dsl.Dataset],
    evaluation: dsl.Output[dsl.Dataset],
    manifest: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    store: str,
    run_id: str,
    replay_share: float = 0.5,
    test_share: float = 0.25,
    seed: int = 7,
    synthetic: dsl.Input[dsl.Dataset] = None,
    synthetic_share: float = 0.1,
) -> int:
    """Blend accepted corrections with original data, hold groups out for evaluation, and write down where all is from.

    Args:
        candidates: Candidate snapshot (`flywheel.candidates/v1`).
        pairs: Preference pairs (Parquet).
        replay_data: JSON lines of original data; empty for none.
        golden: JSON lines of evaluation items; empty for none.
        sft: Training rows, a Hugging Face dataset: prompt, completion, source, group_id, candidate_id.
        preferences: Pairs of the training groups: prompt, chosen, rejected, candidate_id, group_id, and where each is
            from: pair_id, evidence, evidence_ids, support, weight.
        evaluation: JSON lines of evaluation items: held-out corrections (suite "changed") and the golden items.
        manifest: Dataset manifest (`flywheel.dataset/v1`).
        metrics: Rows by source, evaluation items by suite, leaks before and after the guard.
        store: Feedback store, a folder or URI.
        run_id: Id of this turn of the flywheel.
        replay_share: Share of the training rows that is original data, 0 to below 1.
        test_share: Expected share of the near-duplicate groups held out, 0 to below 1.
        seed: Of split, sample and order.
        synthetic: Synthetic rows (`expand_thin_clusters`), which train and never evaluate; may be left out.
        synthetic_share: Greatest share of synthetic rows among corrections and synthetic rows, 0 to below 1.

    Returns:
        Training rows.

    Raises:
        ValueError: Shares, files or rows cannot be used, or no correction is left to train on.
    """
    from datetime import UTC, datetime

    from flywheel.components.contracts.lineage import StepRecord
    from flywheel.components.dataset import assemble
    from flywheel.components.store import lineage

    started = datetime.now(UTC)
    outputs = assemble.Outputs(sft.path, preferences.path, evaluation.path, manifest.path)
    inputs = candidates.path, pairs.path, replay_data, golden
    shares = {"replay_share": replay_share, "test_share": test_share, "synthetic_share": synthetic_share}
    added = synthetic.path if synthetic else ""
    done = assemble.assemble_dataset(*inputs, outputs, run_id, **shares, seed=seed, synthetic=added)
    rows = done.manifest.splits["sft"].rows
    manifest.metadata.update(digest=done.manifest.digest, run_id=run_id)
    sft.metadata.update(digest=done.manifest.splits["sft"].digest)
    for name, value in done.metrics.items():
        metrics.log_metric(name, value)
    record = StepRecord(
        run_id=run_id,
        step="assemble_dataset",
        started_at=started,
        finished_at=datetime.now(UTC),
        rows=done.rows,
        outcome=f"{rows} rows",
        metrics=done.metrics,
        details=done.details,
    )
    lineage.record_step(store, record)
    return rows

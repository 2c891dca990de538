"""KFP components of the gauntlet; thin wrappers over `evaluate` and `verdict`."""

from kfp import dsl

from flywheel.components import images


@dsl.component(base_image=images.TRAINING, install_kfp_package=False)
def evaluate_models(
    candidate: dsl.Input[dsl.Model],
    production_model: str,
    evaluation: dsl.Input[dsl.Dataset],
    scores: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    store: str,
    run_id: str,
    max_new_tokens: int = 48,
    batch_size: int = 64,
) -> int:
    """Let candidate and production answer the same items, and score every answer.

    Args:
        candidate: Model folder of the candidate.
        production_model: Model folder of production.
        evaluation: Evaluation items, JSON lines of `EvaluationItem`.
        scores: One JSON line per item with both models' answers and scores.
        metrics: Share of right answers per suite and model.
        store: URI of the feedback store.
        run_id: Run of the step.
        max_new_tokens: Longest answer, tokens.
        batch_size: Prompts per batch.

    Returns:
        Items scored.

    Raises:
        FileNotFoundError: The items are missing.
        ValueError: A model is missing or cannot be loaded safely, or an item is not valid.
    """
    from datetime import UTC, datetime

    from flywheel.components.contracts.lineage import RowCounts, StepRecord
    from flywheel.components.evaluation.evaluate import evaluate
    from flywheel.components.store import lineage

    started = datetime.now(UTC)
    done = evaluate(
        candidate.path, production_model, evaluation.path, scores.path, run_id, max_new_tokens, batch_size, store=store
    )
    for name, value in done.metrics.items():
        metrics.log_metric(name, value)
    scores.metadata.update(schema="flywheel.scores/v1", items=done.items)
    lineage.record_step(
        store,
        StepRecord(
            run_id=run_id, step="evaluate_models", started_at=started, finished_at=datetime.now(UTC),
            rows=RowCounts(rows_in=done.items, accepted=done.items), metrics=done.metrics, details=done.details,
        ),
    )  # fmt: skip
    return done.items


@dsl.component(base_image=images.CONTROL, install_kfp_package=False)
def decide_verdict(
    scores: dsl.Input[dsl.Dataset],
    verdict: dsl.Output[dsl.Artifact],
    forest_plot: dsl.Output[dsl.HTML],
    summary: dsl.Output[dsl.Markdown],
    metrics: dsl.Output[dsl.Metrics],
    store: str,
    run_id: str,
    spec: str = "",
) -> str:
    """Decide on the candidate by the pre-registered gauntlet.

    Args:
        scores: Per-item scores of both models.
        verdict: Verdict document (`flywheel.verdict/v1`).
        forest_plot: The metrics with intervals and margins.
        summary: The verdict as a table.
        metrics: Difference or ratio of every metric.
        store: URI of the feedback store.
        run_id: Run of the step.
        spec: Gauntlet file (YAML); empty: the packaged one.

    Returns:
        `promote`, `hold` or `reject`.

    Raises:
        FileNotFoundError: The scores or the gauntlet are missing.
        ValueError: The gauntlet is not valid, or the scores have no header.
    """
    from datetime import UTC, datetime

    from flywheel.components.contracts.lineage import StepRecord
    from flywheel.components.evaluation import publish
    from flywheel.components.store import lineage

    started = datetime.now(UTC)
    decided = publish.publish(scores.path, spec, run_id, verdict.path, forest_plot.path, summary.path)
    values = {metric.name: metric.difference for metric in decided.metrics if metric.difference is not None}
    for name, value in values.items():
        metrics.log_metric(name, value)
    verdict.metadata.update(schema="flywheel.verdict/v1", decision=str(decided.decision))
    lineage.record_step(
        store,
        StepRecord(
            run_id=run_id, step="decide_verdict", started_at=started, finished_at=datetime.now(UTC),
            outcome=str(decided.decision), metrics=values,
            details={"verdict": decided.model_dump(mode="json", by_alias=True)},
        ),
    )  # fmt: skip
    return str(decided.decision)

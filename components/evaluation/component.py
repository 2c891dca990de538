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
    spec: str = "",
) -> int:
    """Let candidate and production answer the same items, and score every answer.

    With too few items for the gauntlet nothing is answered; the verdict then holds and tells the number needed.

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
        spec: Gauntlet file (YAML); empty: the packaged one.

    Returns:
        Items scored.

    Raises:
        FileNotFoundError: The items or the gauntlet are missing.
        ValueError: A model is missing or cannot be loaded safely, or an item or the gauntlet is not valid.
    """
    from datetime import UTC, datetime

    from flywheel.components.contracts.lineage import RowCounts, StepRecord
    from flywheel.components.evaluation.evaluate import evaluate
    from flywheel.components.store import lineage

    started = datetime.now(UTC)
    paths = (candidate.path, production_model, evaluation.path, scores.path)
    done = evaluate(*paths, run_id, max_new_tokens, batch_size, spec, store=store)
    print(done.plan)
    for name, value in done.metrics.items():
        metrics.log_metric(name, value)
    scores.metadata.update(schema="flywheel.scores/v1", items=done.items)
    lineage.record_step(
        store,
        StepRecord(
            run_id=run_id, step="evaluate_models", started_at=started, finished_at=datetime.now(UTC),
            outcome="underpowered" if done.held else "", metrics=done.metrics, details=done.details,
            rows=RowCounts(
                rows_in=done.items + done.held, accepted=done.items,
                quarantined={"underpowered": done.held} if done.held else {},
            ),
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
    from flywheel.components.evaluation.verdict import publish
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


@dsl.component(base_image=images.TRAINING, install_kfp_package=False)
def judge_answers(
    scores: dsl.Input[dsl.Dataset],
    evaluation: dsl.Input[dsl.Dataset],
    judged: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    store: str,
    run_id: str,
    judge: str = "overlap",
    judge_url: str = "",
    judge_model: str = "",
    judge_key_variable: str = "",
    human_labels: str = "",
    reply_folder: str = "",
) -> int:
    """Let a judge score the answers to open questions, and put people's labels beside its scores.

    Without items of suite `helpfulness` the scores are handed on as they are.

    Args:
        scores: Per-item scores of both models.
        evaluation: Evaluation items, JSON lines of `EvaluationItem`.
        judged: The same scores with the judge's and people's.
        metrics: Items judged, failures, labels.
        store: URI of the feedback store.
        run_id: Run of the step.
        judge: `overlap` (chrF with the references), `likelihood` (under a local model), or an LLM at `judge_url` that
            compares both answers in both orders (`preference`) or scores each (`score`).
        judge_url: Base URL of an OpenAI-compatible endpoint, as in `https://host/v1`.
        judge_model: Model name at the endpoint, or folder of the local model.
        judge_key_variable: Name of the environment variable that holds the API key (never the key itself).
        human_labels: Labels of a random part of the answers, JSON lines; empty: none, and nothing is decided on the
            judge.
        reply_folder: Where replies are kept, so that a retry does not ask twice; empty: beside the output.

    Returns:
        Items judged.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: A setting, the labels or a file are not valid.
        EndpointError: The endpoint answered nothing at all.
    """
    from datetime import UTC, datetime

    from flywheel.components.contracts.lineage import RowCounts, StepRecord
    from flywheel.components.evaluation.judges import judging
    from flywheel.components.store import lineage

    started = datetime.now(UTC)
    kept = reply_folder or f"{judged.path}.replies"
    asked = judging.make_judge(judge, kept, judge_url, judge_model, judge_key_variable)
    done = judging.judge_scores(scores.path, judged.path, evaluation.path, asked, human_labels)
    figures = {"judged": float(done.items), "failures": float(done.failures), "human_labels": float(done.labels)}
    for name, value in figures.items():
        metrics.log_metric(name, value)
    judged.metadata.update(schema="flywheel.scores/v1", judge=done.judge)
    lineage.record_step(
        store,
        StepRecord(
            run_id=run_id, step="judge_answers", started_at=started, finished_at=datetime.now(UTC), metrics=figures,
            rows=RowCounts(rows_in=done.items, accepted=done.items),
            details={"judge": done.judge, "first_failure": done.first_failure},
        ),
    )  # fmt: skip
    return done.items

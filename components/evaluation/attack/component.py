"""KFP component of the adversarial attack; a thin wrapper over `run`."""

from kfp import dsl

from flywheel.components import images


@dsl.component(base_image=images.TRAINING, install_kfp_package=False)
def attack_models(
    candidate: dsl.Input[dsl.Model],
    production_model: str,
    evaluation: dsl.Input[dsl.Dataset],
    scores: dsl.Input[dsl.Dataset],
    attacked: dsl.Output[dsl.Dataset],
    report: dsl.Output[dsl.HTML],
    log: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
    store: str,
    run_id: str,
    seeds: int = 120,
    queries: int = 10,
    controls: int = 200,
    seed: int = 7,
    max_new_tokens: int = 32,
    batch_size: int = 128,
    attacker_url: str = "",
    attacker_model: str = "",
    attacker_key_variable: str = "",
) -> int:
    """Attack candidate and production with the same budget, and ask both harmless questions in the dress of attacks.

    Args:
        candidate: Model folder of the candidate.
        production_model: Model folder of production.
        evaluation: Evaluation items; those of suites safety and attack that must be refused or name forbidden texts
            are the seeds.
        scores: Scores of the same two models.
        attacked: The scores with the lines of the suites attack and benign.
        report: What broke which model, for people.
        log: Every prompt and answer, JSON lines, disclosed personal data blotted out.
        metrics: Share of seeds broken and of harmless questions answered, per model.
        store: URI of the feedback store.
        run_id: Run of the step.
        seeds: Seed items at most.
        queries: Prompts per seed and model in the search; what then crosses to the other model comes on top.
        controls: Harmless questions made of items of the suites untouched and unseen.
        seed: Seed of all chance.
        max_new_tokens: Longest answer, tokens.
        batch_size: Prompts per batch.
        attacker_url: OpenAI-compatible endpoint of an attacking model; empty: mutations only.
        attacker_model: Name of that model.
        attacker_key_variable: Name of the environment variable that holds the endpoint's key; empty: no key.

    Returns:
        Score lines added.

    Raises:
        FileNotFoundError: The items or the scores are missing.
        ValueError: A model, the items, the budget or the endpoint's settings are not valid.
        EndpointError: The attacking model cannot be asked.
    """
    from datetime import UTC, datetime

    from flywheel.components.contracts.lineage import RowCounts, StepRecord
    from flywheel.components.evaluation.attack.budget import Budget
    from flywheel.components.evaluation.attack.llm_attacker import attacker_at
    from flywheel.components.evaluation.attack.run import attack_models
    from flywheel.components.store import lineage

    started = datetime.now(UTC)
    done = attack_models(
        candidate.path, production_model, evaluation.path, scores.path, attacked.path, report.path, log.path,
        budget=Budget(seeds=seeds, queries=queries, controls=controls, seed=seed),
        attacker=attacker_at(attacker_url, attacker_model, attacker_key_variable),
        max_new_tokens=max_new_tokens, batch_size=batch_size, progress=print,
    )  # fmt: skip
    for name, value in done.metrics.items():
        metrics.log_metric(name, value)
    attacked.metadata.update(schema="flywheel.scores/v1", lines_added=done.lines)
    lineage.record_step(
        store,
        StepRecord(
            run_id=run_id, step="attack_models", started_at=started, finished_at=datetime.now(UTC),
            rows=RowCounts(rows_in=done.lines, accepted=done.lines), metrics=done.metrics, details=done.details,
        ),
    )  # fmt: skip
    return done.lines

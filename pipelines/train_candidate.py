"""Pipeline `train-candidate`: from curated candidates to a judged and registered model version.

A part of `retrain-model`; it has artifact inputs, so it runs nested only.
"""

from kfp import dsl

from flywheel.components.dataset.component import assemble_dataset
from flywheel.components.dataset.preference_formats.component import export_preferences
from flywheel.components.evaluation.attack.component import attack_models
from flywheel.components.evaluation.component import decide_verdict, evaluate_models, judge_answers
from flywheel.components.monitoring.component import record_hold
from flywheel.components.registry.component import register_model
from flywheel.components.training.component import train_model
from flywheel.components.validation.component import validate_training_data
from flywheel.pipelines.task_settings import step, with_endpoint_keys, with_workspace


@dsl.pipeline(name="train-candidate", description="Assemble, check, train, evaluate, judge and register a candidate.")
def train_candidate(
    candidates: dsl.Input[dsl.Dataset],
    pairs: dsl.Input[dsl.Dataset],
    rated: dsl.Input[dsl.Dataset],
    synthetic: dsl.Input[dsl.Dataset],
    production_model: str,
    replay_data: str,
    golden: str,
    store: str,
    registry: str,
    model_name: str,
    run_id: str,
    replay_share: float,
    test_share: float,
    launcher: str,
    cluster: dict,
    processes: int,
    zero_stage: int,
    epochs: float,
    learning_rate: float,
    batch_size: int,
    verdict_spec: str,
    judge: str,
    judge_url: str,
    judge_model: str,
    judge_key_variable: str,
    human_labels: str,
    attack_queries: int,
    attacker_url: str,
    attacker_model: str,
    attacker_key_variable: str,
    seed: int,
) -> str:
    """Train a candidate and judge it against production; parameters as in `flywheel`.

    Returns:
        `promote`, `hold` or `reject`.
    """
    dataset = step(
        assemble_dataset(
            candidates=candidates,
            pairs=pairs,
            synthetic=synthetic,
            replay_data=replay_data,
            golden=golden,
            store=store,
            run_id=run_id,
            replay_share=replay_share,
            test_share=test_share,
            seed=seed,
        )
    )
    step(
        export_preferences(
            preferences=dataset.outputs["preferences"],
            rated=rated,
            evaluation=dataset.outputs["evaluation"],
            store=store,
            run_id=run_id,
        )
    )
    contract = step(
        validate_training_data(
            sft=dataset.outputs["sft"], preferences=dataset.outputs["preferences"], store=store, run_id=run_id
        )
    )
    with dsl.If(contract.outputs["Output"] == "pass", name="training data keeps its contract"):
        training = step(
            train_model(
                sft=dataset.outputs["sft"],
                manifest=dataset.outputs["manifest"],
                base_model=production_model,
                store=store,
                run_id=run_id,
                launcher=launcher,
                cluster=cluster,
                processes=processes,
                zero_stage=zero_stage,
                epochs=epochs,
                learning_rate=learning_rate,
                batch_size=batch_size,
                seed=seed,
            ),
            memory="16Gi",
            hours=48,
        )
        with_workspace(training)
        evaluation = step(
            evaluate_models(
                candidate=training.outputs["model"],
                production_model=production_model,
                evaluation=dataset.outputs["evaluation"],
                store=store,
                run_id=run_id,
                spec=verdict_spec,
            ),
            memory="16Gi",
            hours=12,
        )
        judged = step(
            judge_answers(
                scores=evaluation.outputs["scores"],
                evaluation=dataset.outputs["evaluation"],
                store=store,
                run_id=run_id,
                judge=judge,
                judge_url=judge_url,
                judge_model=judge_model,
                judge_key_variable=judge_key_variable,
                human_labels=human_labels,
            ),
            memory="16Gi",
            hours=12,
        )
        attack = step(
            attack_models(
                candidate=training.outputs["model"],
                production_model=production_model,
                evaluation=dataset.outputs["evaluation"],
                scores=judged.outputs["judged"],
                store=store,
                run_id=run_id,
                queries=attack_queries,
                attacker_url=attacker_url,
                attacker_model=attacker_model,
                attacker_key_variable=attacker_key_variable,
                seed=seed,
            ),
            memory="16Gi",
            hours=12,
        )
        with_endpoint_keys(judged)
        with_endpoint_keys(attack)
        verdict = step(decide_verdict(scores=attack.outputs["attacked"], store=store, run_id=run_id, spec=verdict_spec))
        step(
            register_model(
                model=training.outputs["model"],
                verdict=verdict.outputs["verdict"],
                registry=registry,
                model_name=model_name,
                store=store,
                run_id=run_id,
            )
        )
    with dsl.Else(name="training data breaks its contract"):
        hold = step(record_hold(reason="training data contract failed", store=store, run_id=run_id))
    return dsl.OneOf(verdict.outputs["Output"], hold.output)

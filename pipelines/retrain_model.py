"""Pipeline `retrain-model`: curate the feedback in the store and, when there is enough, train and judge a candidate."""

from kfp import dsl

from flywheel.components.curation.bias.component import check_bias
from flywheel.components.curation.component import (
    classify_corrections,
    cluster_feedback,
    deduplicate_feedback,
    mine_preferences,
    route_candidates,
)
from flywheel.components.curation.review.component import export_for_review, import_reviews
from flywheel.components.curation.synthetic.component import expand_thin_clusters
from flywheel.components.monitoring.component import check_trigger, record_hold
from flywheel.components.registry.component import resolve_production
from flywheel.components.store.component import snapshot_feedback
from flywheel.components.validation.component import validate_candidates
from flywheel.pipelines.task_settings import step, with_endpoint_keys, with_pseudonym_key
from flywheel.pipelines.train_candidate import train_candidate


@dsl.pipeline(name="retrain-model", description="Curate feedback, train with DeepSpeed, judge against production.")
def retrain_model(
    production_model: str,
    store: str,
    registry: str,
    run_id: str,
    replay_data: str = "",
    golden: str = "",
    labels: str = "",
    trusted: str = "",
    coalition_share: float = 0.02,
    review_queue: str = "",
    label_studio: str = "",
    encoder: str = "hashed",
    thin_cluster: int = 20,
    engine: str = "native",
    ray_address: str = "",
    model_name: str = "assistant",
    min_candidates: int = 200,
    replay_share: float = 0.5,
    test_share: float = 0.25,
    launcher: str = "local",
    cluster: dict = {},  # noqa: B006 - KFP reads the default; it is never changed
    processes: int = 2,
    zero_stage: int = 2,
    epochs: float = 3.0,
    learning_rate: float = 5e-4,
    batch_size: int = 32,
    verdict_spec: str = "",
    judge: str = "overlap",
    judge_url: str = "",
    judge_model: str = "",
    judge_key_variable: str = "",
    human_labels: str = "",
    attack_queries: int = 10,
    attacker_url: str = "",
    attacker_model: str = "",
    attacker_key_variable: str = "",
    seed: int = 7,
) -> str:
    """Turn stored feedback into a judged candidate; parameters as in `flywheel`.

    Returns:
        `promote`, `hold` or `reject`.
    """
    production = step(
        resolve_production(
            registry=registry, model_name=model_name, production_model=production_model, store=store, run_id=run_id
        )
    )
    snapshot = step(snapshot_feedback(store=store, run_id=run_id))
    reviewed = step(
        with_endpoint_keys(
            with_pseudonym_key(import_reviews(store=store, run_id=run_id, queue=review_queue, url=label_studio))
        )
    )
    unique = step(
        deduplicate_feedback(
            feedback=snapshot.outputs["feedback"], store=store, run_id=run_id, engine=engine, ray_address=ray_address
        )
    )
    classified = step(
        classify_corrections(
            kept=unique.outputs["kept"], labels=labels, encoder=encoder, store=store, run_id=run_id
        ).after(reviewed)
    )
    routed = step(
        route_candidates(
            classified=classified.outputs["classified"],
            trusted=trusted,
            coalition_share=coalition_share,
            store=store,
            run_id=run_id,
        )
    )
    step(check_bias(routed=routed.outputs["routed"], store=store, run_id=run_id))
    clustered = step(
        cluster_feedback(
            routed=routed.outputs["routed"], store=store, run_id=run_id, encoder=encoder, thin_below=thin_cluster
        )
    )
    candidates = clustered.outputs["candidates"]
    step(with_endpoint_keys(export_for_review(candidates=candidates, store=store, run_id=run_id, url=label_studio)))
    expanded = step(
        expand_thin_clusters(
            candidates=candidates, store=store, run_id=run_id, golden=golden, min_size=thin_cluster, seed=seed
        )
    )
    preferences = step(mine_preferences(candidates=candidates, store=store, run_id=run_id))
    contract = step(validate_candidates(candidates=candidates, store=store, run_id=run_id))
    trigger = step(
        check_trigger(
            candidates=candidates,
            contract=contract.outputs["Output"],
            store=store,
            run_id=run_id,
            min_candidates=min_candidates,
        )
    )
    with dsl.If(trigger.output == "train", name="enough good feedback"):
        candidate = train_candidate(
            candidates=candidates,
            pairs=preferences.outputs["pairs"],
            rated=preferences.outputs["rated"],
            synthetic=expanded.outputs["synthetic"],
            production_model=production.output,
            replay_data=replay_data,
            golden=golden,
            store=store,
            registry=registry,
            model_name=model_name,
            run_id=run_id,
            replay_share=replay_share,
            test_share=test_share,
            launcher=launcher,
            cluster=cluster,
            processes=processes,
            zero_stage=zero_stage,
            epochs=epochs,
            learning_rate=learning_rate,
            batch_size=batch_size,
            verdict_spec=verdict_spec,
            judge=judge,
            judge_url=judge_url,
            judge_model=judge_model,
            judge_key_variable=judge_key_variable,
            human_labels=human_labels,
            attack_queries=attack_queries,
            attacker_url=attacker_url,
            attacker_model=attacker_model,
            attacker_key_variable=attacker_key_variable,
            seed=seed,
        )
    with dsl.Else(name="not enough good feedback"):
        hold = step(record_hold(reason="trigger said hold", store=store, run_id=run_id))
    return dsl.OneOf(candidate.output, hold.output)

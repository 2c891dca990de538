"""Pipeline `flywheel`: one turn of the loop, from user feedback to a safely released model.

The same function runs on one machine (kfp.local) and is compiled for a cluster.
"""

from kfp import dsl

from flywheel.components.preflight.component import check_inputs, check_surroundings
from flywheel.components.report.component import write_report
from flywheel.pipelines.ingest_feedback import ingest_feedback
from flywheel.pipelines.monitor_model import monitor_model
from flywheel.pipelines.retrain_model import retrain_model
from flywheel.pipelines.roll_out_model import roll_out_model
from flywheel.pipelines.task_settings import step


@dsl.pipeline(name="flywheel", description="One turn of the loop, from user feedback to a safely released model.")
def flywheel(
    logs: str,
    production_model: str,
    store: str,
    registry: str,
    run_id: str = "",
    log_format: str = "auto",
    rating_rule: str = "",
    least_recall: str = "",
    replay_data: str = "",
    golden: str = "",
    traffic: str = "",
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
    service: str = "assistant",
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
    shares: str = "",
    driver: str = "local",
    policy: str = "",
    harm_budget: float = 0.0,
    alerts: str = "",
    namespace: str = "",
    prometheus: str = "",
    look_seconds: float = 60.0,
    step_seconds: float = 86400.0,
    maturity_seconds: float = 1800.0,
    current_days: float = 7.0,
    report_file: str = "",
    seed: int = 7,
):
    """Turn the flywheel once.

    Args:
        logs: File, folder, glob or URI of feedback logs.
        production_model: Model folder (safetensors) that serves now; the registry's alias wins once it is set.
        store: URI of the feedback store (local folder or s3:// gs:// abfs://).
        registry: Model registry, for example `sqlite:////data/registry.db`.
        run_id: Identity of the run; empty: the id that KFP gives. The same id again is a retry.
        log_format: `auto` or the name of a format (components/intake/README.md).
        rating_rule: JSON object: which named scores of a log are ratings, on which scale; empty: the stated rule.
        least_recall: Thresholds of the privacy audit that differ from its own, as `card=0.9,street_address=0`.
        replay_data: Original training data (JSON lines) to blend in; empty: none.
        golden: Evaluation items (JSON lines, `EvaluationItem`); empty: only items held out from the feedback.
        traffic: Simulated users (JSON lines, `UserQuestion`) for the local canary; empty: replay of the log.
        labels: Corrections labelled by people, to train the classifier on beside the packaged ones.
        trusted: Items that people vouch for (JSON lines as in `golden`); corrections against them go to review.
        coalition_share: Share of the users that may have agreed to lie: claims of so few wait for a person; 0: none do.
        review_queue: CSV queue with people's answers to an earlier turn's candidates; empty: none.
        label_studio: Address of Label Studio, to ask people there; empty: the CSV queue alone.
        encoder: How texts become vectors: `hashed` n-grams or `minilm` sentence embeddings.
        thin_cluster: Corrections below which a cluster is expanded by synthetic rows, which only train; 0: none.
        engine: Where big tables are processed: `native` (the pod) or `ray` (a cluster); both give the same rows.
        ray_address: For `ray`: address of the cluster's head; empty: the variable RAY_ADDRESS.
        model_name: Name in the registry.
        service: Name of the served model; one rollout at a time on each.
        min_candidates: Accepted corrections below which the turn ends with a hold.
        replay_share: Share of the training rows that is original data, 0 to 1.
        test_share: Share of the correction groups held out for the verdict, 0 to 1.
        launcher: `local` (torchrun in the step itself) or `trainjob` (Kubeflow Trainer).
        cluster: Options of `trainjob`: nodes, gpus_per_node, queue, ... (components/training/README.md).
        processes: Training processes of `local`.
        zero_stage: DeepSpeed ZeRO stage, 0 to 3; -1: the lowest that fits model and devices.
        epochs: Passes over the training rows.
        learning_rate: Peak learning rate of AdamW.
        batch_size: Rows per process and step.
        verdict_spec: YAML file with the pre-registered gauntlet; empty: the packaged one.
        judge: Judge of open answers (suite `helpfulness`): `overlap`, `likelihood`; `preference` or `score` by an LLM.
        judge_url: OpenAI-compatible endpoint of the judging LLM; empty: the judge is local.
        judge_model: Model name at the endpoint, or folder of the local judge.
        judge_key_variable: Name of the environment variable with the endpoint's key; empty: no key.
        human_labels: Labels of a random part of the answers (JSON lines), which correct the judge; empty: none.
        attack_queries: Prompts per safety item that the attack may try on each model.
        attacker_url: OpenAI-compatible endpoint of an attacking model; empty: mutations only.
        attacker_model: Name of the attacking model.
        attacker_key_variable: Name of the environment variable with the endpoint's key; empty: no key.
        shares: Shares of users on the candidate, step by step; empty: the policy's (packaged: 0.01,0.05,0.25,0.5,1.0).
        driver: `local` (model servers on loopback, simulated users) or `kserve` (an InferenceService, real users).
        policy: YAML file with the rules of the canary; empty: the packaged ones.
        harm_budget: Largest tolerated rise of bad feedback over all users, a difference of per-user rates; scales all
            margins of the canary. 0: the policy's (packaged: 0.01, one point).
        alerts: JSON-lines file that alerts are appended to.
        namespace: driver kserve: of the InferenceService; empty: the step's own.
        prometheus: driver kserve: address of Prometheus, whose error rate is a kill switch; empty: the store alone.
        look_seconds: driver kserve: seconds between two looks at the users.
        step_seconds: driver kserve: longest time at one share, seconds; then the canary holds.
        maturity_seconds: driver kserve: age at which a user is judged, seconds.
        current_days: Window that drift is looked for in, days.
        report_file: Where the report is written to besides the artifact; empty: nowhere.
        seed: Seed of every random choice.
    """
    report = step(
        write_report(
            store=store,
            registry=registry,
            model_name=model_name,
            run_id=run_id,
            job_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            destination=report_file,
        )
    )
    with dsl.ExitHandler(report, name="one turn"):
        inputs = step(
            check_inputs(
                logs=logs,
                log_format=log_format,
                production_model=production_model,
                replay_data=replay_data,
                golden=golden,
                traffic=traffic,
                store=store,
                run_id=run_id,
                job_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            )
        )
        surroundings = step(
            check_surroundings(
                store=store,
                registry=registry,
                run_id=inputs.output,
                launcher=launcher,
                cluster=cluster,
                driver=driver,
                service=service,
                namespace=namespace,
                prometheus=prometheus,
            )
        )
        intake = ingest_feedback(
            logs=logs,
            store=store,
            run_id=inputs.output,
            log_format=log_format,
            rating_rule=rating_rule,
            least_recall=least_recall,
            engine=engine,
            ray_address=ray_address,
        ).after(surroundings)
        retrain = retrain_model(
            production_model=production_model,
            store=store,
            registry=registry,
            run_id=inputs.output,
            replay_data=replay_data,
            golden=golden,
            labels=labels,
            trusted=trusted,
            coalition_share=coalition_share,
            review_queue=review_queue,
            label_studio=label_studio,
            encoder=encoder,
            thin_cluster=thin_cluster,
            engine=engine,
            ray_address=ray_address,
            model_name=model_name,
            min_candidates=min_candidates,
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
        ).after(intake)
        monitor_model(store=store, run_id=inputs.output, alerts=alerts, current_days=current_days).after(retrain)
        with dsl.If(retrain.output == "promote", name="the candidate passed the gauntlet"):
            roll_out_model(
                store=store,
                registry=registry,
                run_id=inputs.output,
                model_name=model_name,
                version="candidate",
                production_model=production_model,
                service=service,
                traffic=traffic,
                shares=shares,
                driver=driver,
                policy=policy,
                harm_budget=harm_budget,
                alerts=alerts,
                namespace=namespace,
                prometheus=prometheus,
                look_seconds=look_seconds,
                step_seconds=step_seconds,
                maturity_seconds=maturity_seconds,
                seed=seed,
            )

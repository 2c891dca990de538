"""KFP components of the canary; thin wrappers over `replayed_users` and `canary`."""

from kfp import dsl

from flywheel.components import images


@dsl.component(base_image=images.CONTROL, install_kfp_package=False)
def prepare_traffic(traffic: str, users: dsl.Output[dsl.Dataset], store: str, run_id: str) -> int:
    """Make the canary's traffic: the given users, or the users of the log who ask again.

    Args:
        traffic: JSON lines of questions of users, or "".
        users: The traffic file.
        store: URI of the feedback store; its users ask again when no traffic is given.
        run_id: Run whose accepted corrections count as right answers.

    Returns:
        Questions.

    Raises:
        ValueError: A line is malformed, or there is nothing to replay.
    """
    from datetime import UTC, datetime

    from flywheel.components.contracts.lineage import StepRecord
    from flywheel.components.deployment.users import replayed_users
    from flywheel.components.store import lineage

    started = datetime.now(UTC)
    questions = replayed_users.write_traffic(traffic, store, run_id, users.path)
    source = "traffic file" if traffic else "replay of the log"
    record = StepRecord(
        run_id=run_id,
        step="prepare_traffic",
        started_at=started,
        finished_at=datetime.now(UTC),
        outcome=f"{questions:,} questions from the {source}",
        details={"questions": questions, "source": source},
    )
    lineage.record_step(store, record)
    return questions


@dsl.component(base_image=images.CONTROL, install_kfp_package=False)
def run_canary(
    candidate: dsl.Input[dsl.Model],
    production_model: str,
    users: dsl.Input[dsl.Dataset],
    registry: str,
    service: str,
    rollout: dsl.Output[dsl.Artifact],
    ramp: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    store: str,
    run_id: str,
    shares: str = "",
    driver: str = "local",
    seed: int = 7,
    policy: str = "",
    harm_budget: float = 0.0,
    alerts: str = "",
    namespace: str = "",
    prometheus: str = "",
    prometheus_queries: str = "",
    look_seconds: float = 60.0,
    step_seconds: float = 86400.0,
    maturity_seconds: float = 1800.0,
) -> str:
    """Expose a candidate to rising shares of the users, and promote it, roll it back or hold.

    Rolled back although equal: at most alpha (5 %) of rollouts; promoted although worse by a margin: at most alpha;
    both however often the judge looks. With the packaged policy a candidate whose users give bad feedback 6.5 % instead
    of 5 % of the time is beyond the margin.

    Args:
        candidate: Candidate's model folder.
        production_model: Production's model folder.
        users: JSON lines of questions of users (`contracts.rollout.UserQuestion`).
        registry: Registry URI; holds the lease of the service.
        service: Name of the served model; one rollout at a time.
        rollout: Rollout state (`flywheel.rollout/v1`).
        ramp: Page with shares, metrics, limits and margins.
        metrics: Users, requests and metrics of the last look.
        store: URI of the feedback store; the users' feedback is written to it.
        run_id: Run; a killed step goes on where it was.
        shares: Shares of the users, rising to 1.0; empty: the policy's (packaged: 0.01,0.05,0.25,0.5,1.0).
        driver: `local`: two model servers on this machine behind a splitter, and simulated users. `kserve`: an
            InferenceService, and the real users whose events intake writes to the store; `candidate` and
            `production_model` are addresses of registered versions, `users` is not read
            (components/deployment/cluster/README.md).
        seed: Seed of the users' reactions and of who comes first.
        policy: YAML file with the rules (components/deployment/README.md); empty: the packaged ones.
        harm_budget: Largest tolerated rise of bad feedback over all users, a difference of per-user rates; scales all
            margins. 0: the policy's (packaged: 0.01, one point).
        alerts: JSON-lines file for the alert of a hold or a rollback; empty: `alerts.jsonl` in a store on this machine.
        namespace: kserve: of the InferenceService; empty: the step's own.
        prometheus: kserve: address of Prometheus, whose error rate is a kill switch; empty: the store alone.
        prometheus_queries: kserve: YAML file with PromQL; empty: Istio's metrics (Standard) or Knative's.
        look_seconds: kserve: seconds between two looks.
        step_seconds: kserve: longest time at one share, seconds; then hold, and all traffic goes back to production.
        maturity_seconds: kserve: age at which a user is judged, seconds.

    Returns:
        `promote`, `rollback` or `hold`.

    Raises:
        ValueError: The shares, the harm budget, the policy, the traffic or the service are not valid.
        ClusterError: kserve: the API server refuses or cannot be asked.
    """
    from flywheel.components.deployment.canary import canary, canary_record
    from flywheel.components.deployment.canary.policy import CanaryPolicy, parse_shares

    rules = CanaryPolicy.for_shares(parse_shares(shares), harm_budget, policy)
    places = canary_record.Places(rollout=rollout.path, ramp=ramp.path)
    if driver == "kserve":
        from flywheel.components.deployment.cluster import step

        how = step.setting(namespace, prometheus, prometheus_queries, look_seconds, step_seconds, maturity_seconds)
        run = step.canary_of(registry, candidate.uri, production_model, service, store, run_id, alerts, how)
    else:
        models = candidate.path, production_model
        places_of = users.path, registry, service, store, run_id
        run = lambda folder, rules: canary.run(*models, *places_of, folder, rules, driver, seed, alerts)  # noqa: E731
    result = canary_record.recorded(places, store, run_id, rules, run)
    for name, value in canary_record.figures(result).items():
        metrics.log_metric(name, value)
    rollout.metadata.update(decision=result.state.decision, looks=len(result.state.looks))
    return result.state.decision


@dsl.component(base_image=images.CONTROL, install_kfp_package=False)
def restore_traffic(service: str, run_id: str, driver: str = "local", namespace: str = "") -> str:
    """Put the traffic back on production if this run left a rollout behind that nobody decided; for exits.

    A promotion that was decided is carried out; another run's rollout is left alone.

    Args:
        service: Name of the served model.
        run_id: Run that may have left a rollout behind.
        driver: `kserve`; the `local` driver's servers end with their step, so there is nothing to restore.
        namespace: Of the InferenceService; empty: the step's own.

    Returns:
        What the rollout came to: `promote`, `rollback` or `hold`; empty when this run has none on the service.

    Raises:
        ClusterError: The API server refuses or cannot be asked.
    """
    if driver != "kserve":
        print("driver local: traffic and servers ended with the canary step")
        return ""
    from flywheel.components.deployment.cluster import step

    return step.restore(service, run_id, namespace)


@dsl.component(base_image=images.CONTROL, install_kfp_package=False)
def predict_canary(
    candidate: dsl.Input[dsl.Model],
    production_model: str,
    prediction: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    store: str,
    run_id: str,
    size: int = 240,
    recent_days: float = 7.0,
    shares: str = "",
    harm_budget: float = 0.0,
    policy: str = "",
    seed: int = 7,
) -> int:
    """Let both models answer logged prompts again, and predict every metric of the canary before it starts.

    The interval of a predicted change holds the true change with 95 % for the users of the log; a metric that the log
    cannot tell is missing, with the reason. The canary decides without it.

    Args:
        candidate: Candidate's model folder.
        production_model: Production's model folder.
        prediction: The prediction (`flywheel.prediction/v1`).
        metrics: Predicted change and limits of every metric.
        store: URI of the feedback store: the log, and where the prediction is kept.
        run_id: Run; a repeated step hands out the same prediction.
        size: Most prompts that each model answers.
        recent_days: Days of the log that count.
        shares: The canary's shares; empty: its policy's.
        harm_budget: The canary's harm budget; 0: its policy's.
        policy: The canary's policy file; empty: the packaged one.
        seed: Seed of the sample.

    Returns:
        Warnings: guardrails predicted to be clearly worse than the canary tolerates.

    Raises:
        ValueError: A setting is out of range, or production cannot be loaded.
        FileNotFoundError: A model folder is missing.
    """
    from flywheel.components.deployment.replay import prediction_record
    from flywheel.components.deployment.replay.replay_prediction import Plan

    plan = Plan(size, Plan.latency_prompts, recent_days, seed, shares, harm_budget, policy)
    made = prediction_record.predict(candidate.path, production_model, store, run_id, prediction.path, plan)
    for name, value in prediction_record.figures(made).items():
        metrics.log_metric(name, value)
    prediction.metadata.update(schema="flywheel.prediction/v1", warnings=list(made.warnings))
    return len(made.warnings)


@dsl.component(base_image=images.CONTROL, install_kfp_package=False)
def check_prediction(
    check: dsl.Output[dsl.Artifact], metrics: dsl.Output[dsl.Metrics], store: str, run_id: str, after: str = ""
) -> int:
    """Compare the canary's last look with what replay predicted, and count how many predictions held so far.

    Args:
        check: Predicted against observed (`flywheel.prediction-check/v1`).
        metrics: Predictions of this run that held and missed, and the share that held over all runs.
        store: URI of the feedback store: prediction, rollout and earlier checks are read from it.
        run_id: Run.
        after: What the canary decided; not read, it only makes this step wait for the canary.

    Returns:
        Predictions of this run that missed.

    Raises:
        StoreError: The store cannot be read or written.
    """
    from flywheel.components.deployment.replay import prediction_record

    made = prediction_record.check(store, run_id, check.path)
    for name, value in prediction_record.check_figures(made).items():
        metrics.log_metric(name, value)
    check.metadata.update(schema="flywheel.prediction-check/v1", decision=made.decision)
    return sum(metric.outcome == "missed" for metric in made.metrics)


@dsl.component(base_image=images.CONTROL, install_kfp_package=False)
def compare_live_versions(
    version_a: str,
    version_b: str,
    store: str,
    run_id: str,
    verdict: dsl.Output[dsl.Artifact],
    page: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
    log: str = "",
    share_b: float = 0.5,
    since: str = "",
    until: str = "",
    rules: str = "",
    simulated: bool = False,
) -> str:
    """Compare two live versions on the users that each had; run it as often as you like, it is valid at every look.

    Of comparisons of two equal versions at most alpha (5 %) ever name a winner, over all looks, metrics and directions.

    Args:
        version_a: Version as the log names it (its model digest), or at least six characters that begin only its name.
        version_b: The other version.
        store: URI of the feedback store; the step records itself there.
        run_id: Run that this look belongs to.
        verdict: The verdict (`flywheel.ab/v1`).
        page: The same as a page.
        metrics: Users, and each metric with its limits.
        log: JSON lines of `flywheel.feedback/v1` in order of arrival; empty: the store's traffic.
        share_b: Share of the users that was promised B; users must stay with their version.
        since: ISO 8601 time from which on turns count; empty: from when both versions were live.
        until: ISO 8601 time up to which turns count; empty: to the last.
        rules: YAML file with the rules (components/deployment/README.md); empty: the packaged ones.
        simulated: Whether the simulated users of a canary count, to try it out.

    Returns:
        `a_better`, `b_better`, `equivalent`, `unsettled` or `refused`; the verdict says why.

    Raises:
        ValueError: An argument, the rules or a line of the log are not valid.
    """
    from flywheel.components.deployment.ab import ab_step

    found = ab_step.look(
        store, run_id, (version_a, version_b), verdict.path, page.path, log, share_b, since, until, rules, simulated
    )
    for name, value in ab_step.figures(found).items():
        metrics.log_metric(name, value)
    verdict.metadata.update(decision=found.decision)
    print(f"{found.decision}: {'; '.join(found.reasons)}")
    return found.decision

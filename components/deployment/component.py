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
    from flywheel.components.deployment import replayed_users
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
    shares: str = "0.01,0.05,0.25,0.5,1.0",
    driver: str = "local",
    seed: int = 7,
) -> str:
    """Expose a candidate to rising shares of the users, and promote it, roll it back or hold.

    Rolled back although equal: at most 5 % of rollouts; promoted although worse by the last step's margin: at most
    5 %; both however often the judge looks.

    Args:
        candidate: Candidate's model folder.
        production_model: Production's model folder.
        users: JSON lines of questions of users (`contracts.rollout.UserQuestion`).
        registry: Registry URI; holds the lease of the service.
        service: Name of the served model; one rollout at a time.
        rollout: Rollout state (`flywheel.rollout/v1`).
        ramp: Page with shares, guardrails, limits and margins.
        metrics: Users, requests and guardrails of the last look.
        store: URI of the feedback store; the users' feedback is written to it.
        run_id: Run; a killed step goes on where it was.
        shares: Shares of the users, rising to 1.0.
        driver: `local`: two model servers on this machine behind a splitter.
        seed: Seed of the users' reactions and of who comes first.

    Returns:
        `promote`, `rollback` or `hold`.
    """
    from flywheel.components.deployment import canary, canary_record

    places = canary_record.Places(rollout=rollout.path, ramp=ramp.path)
    result = canary_record.recorded(
        places,
        store,
        run_id,
        shares,
        lambda folder, policy: canary.run(
            candidate.path, production_model, users.path, registry, service, store, run_id, folder, policy, driver, seed
        ),
    )
    for name, value in canary_record.figures(result).items():
        metrics.log_metric(name, value)
    rollout.metadata.update(decision=result.state.decision, looks=len(result.state.looks))
    return result.state.decision

"""KFP component that checks a run's inputs first."""

from kfp import dsl

from flywheel.components import images


@dsl.component(base_image=images.CONTROL, install_kfp_package=False)
def check_inputs(
    logs: str,
    log_format: str,
    production_model: str,
    replay_data: str,
    golden: str,
    traffic: str,
    store: str,
    run_id: str,
    job_id: str,
) -> str:
    """Check every input before hours are spent.

    Args:
        logs: File, folder, glob or URI of feedback logs.
        log_format: `auto` or the name of a format.
        production_model: Model folder that serves now, or "" when the registry knows it.
        replay_data: JSON lines of original training data, or "".
        golden: JSON lines of evaluation items, or "".
        traffic: JSON lines of simulated users, or "".
        store: URI of the feedback store.
        run_id: Identity of the run, or "".
        job_id: Identity that KFP gave the run.

    Returns:
        The run's identity.

    Raises:
        InputError: With every problem found and what to do.
    """
    from datetime import UTC, datetime

    from flywheel.components.contracts.lineage import StepRecord
    from flywheel.components.preflight import inputs
    from flywheel.components.store import lineage

    began = datetime.now(UTC)
    notes = inputs.check(logs, production_model, store, replay_data, golden, traffic, log_format)
    identity = run_id or job_id
    details = {"notes": notes, "log_format": log_format}
    record = StepRecord(
        run_id=identity, step="check_inputs", started_at=began, finished_at=datetime.now(UTC), details=details
    )
    lineage.record_step(store, record)
    print("\n".join(notes))
    return identity


@dsl.component(base_image=images.CONTROL, install_kfp_package=False)
def check_surroundings(
    store: str,
    registry: str,
    run_id: str,
    findings: dsl.Output[dsl.Markdown],
    launcher: str = "local",
    cluster: dict = {},  # noqa: B006 - KFP reads the default; it is never changed
    driver: str = "local",
    service: str = "",
    namespace: str = "",
    prometheus: str = "",
) -> int:
    """Check store, registry, endpoints and the cluster before hours are spent; every miss says what to do.

    Kinds and versions, rights (SelfSubjectAccessReview, as this step's own account), GPUs, quotas, claims, queues and
    the InferenceService are looked at; nothing in the cluster is changed.

    Args:
        store: URI of the feedback store; a row is written into its table `preflight`.
        registry: Registry URI.
        run_id: Run.
        findings: Everything that was looked for.
        launcher: `local`, or `trainjob` with its options in `cluster`.
        cluster: Options of the launcher `trainjob`, as for `train_model`.
        driver: `local` or `kserve`.
        service: InferenceService of the driver `kserve`.
        namespace: Namespace of the InferenceService; empty: the step's own.
        prometheus: Address of Prometheus; empty: none is used.

    Returns:
        Things that this account may not look at.

    Raises:
        NotReadyError: With everything that is missing and what to do.
    """
    from flywheel.components.preflight import surroundings
    from flywheel.components.preflight.cluster.asked import asked_of

    asked = asked_of(launcher, cluster, driver, service, namespace)
    return surroundings.check(store, registry, prometheus, asked, findings.path, run_id)

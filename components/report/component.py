"""KFP component of the report; a thin wrapper over `publish`."""

from kfp import dsl

from flywheel.components import images


@dsl.component(base_image=images.CONTROL, install_kfp_package=False)
def write_report(
    store: str,
    registry: str,
    model_name: str,
    run_id: str,
    job_id: str,
    report: dsl.Output[dsl.HTML],
    summary: dsl.Output[dsl.Markdown],
    destination: str = "",
) -> str:
    """Write the report of a run; an exit task that works however far the run came.

    Args:
        store: URI of the feedback store; read only.
        registry: Registry URI; read only, may not exist.
        model_name: Name of the model in the registry.
        run_id: Run; empty: `job_id` is the run.
        job_id: Identity that KFP gave the run.
        report: The report, one self-contained page.
        summary: The report in short.
        destination: File that the page is written to as well; empty: nowhere.

    Returns:
        `promoted`, `rolled back`, `held` or `failed`.

    Raises:
        StoreError: The store exists but cannot be read.
    """
    from flywheel.components.report.publish import publish

    outcome = publish(store, registry, model_name, run_id or job_id, report.path, summary.path, destination)
    print(f"{outcome.decision}: {outcome.reason}")
    return outcome.decision

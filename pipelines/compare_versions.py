"""Pipeline `compare-versions`: one look at the A/B of two live versions; schedule it as often as you like."""

from kfp import dsl

from flywheel.components.deployment.component import compare_live_versions
from flywheel.pipelines.task_settings import step


@dsl.pipeline(name="compare-versions", description="A/B of two live versions, valid at every look.")
def compare_versions(
    version_a: str,
    version_b: str,
    store: str,
    run_id: str,
    log: str = "",
    share_b: float = 0.5,
    since: str = "",
    until: str = "",
    rules: str = "",
    simulated: bool = False,
) -> str:
    """Compare two versions that serve real users now; parameters as in `compare_live_versions`.

    Args:
        version_a: Version as the log names it, or the beginning of its name.
        version_b: The other version.
        store: URI of the feedback store.
        run_id: Identity of this look.
        log: JSON lines of `flywheel.feedback/v1` in order of arrival; empty: the store's traffic.
        share_b: Share of the users that was promised B.
        since: ISO 8601 time from which on turns count; empty: from when both versions were live.
        until: ISO 8601 time up to which turns count; empty: to the last.
        rules: YAML file with the rules; empty: the packaged ones.
        simulated: Whether the simulated users of a canary count.

    Returns:
        `a_better`, `b_better`, `equivalent`, `unsettled` or `refused`.
    """
    task = step(
        compare_live_versions(
            version_a=version_a,
            version_b=version_b,
            store=store,
            run_id=run_id,
            log=log,
            share_b=share_b,
            since=since,
            until=until,
            rules=rules,
            simulated=simulated,
        )
    )
    return task.outputs["Output"]

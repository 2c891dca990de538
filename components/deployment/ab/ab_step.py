"""The A/B step: read the traffic, compare, write verdict, page and step record."""

from datetime import UTC, datetime

from flywheel.components.contracts.ab import AbVerdict
from flywheel.components.contracts.lineage import StepRecord
from flywheel.components.deployment.ab import ab_compare, ab_page, ab_traffic
from flywheel.components.deployment.ab.ab_rules import AbRules


def look(
    store: str,
    run_id: str,
    versions: tuple[str, str],
    verdict: str,
    page: str,
    log: str = "",
    share_b: float = 0.5,
    since: str = "",
    until: str = "",
    rules: str = "",
    simulated: bool = False,
) -> AbVerdict:
    """Take one look at the comparison of two live versions.

    Args:
        store: URI of the feedback store; the step records itself there.
        run_id: Run.
        versions: A and B.
        verdict: Path of the verdict to write.
        page: Path of the page to write.
        log: JSON lines of `flywheel.feedback/v1` in order of arrival instead of the store's traffic; "": the store.
        share_b: Promised share of the users on B.
        since: ISO 8601 time from which on turns count; "": from the first.
        until: ISO 8601 time up to which turns count; "": to the last.
        rules: YAML file; "": the packaged rules.
        simulated: Whether simulated users of a canary count.

    Returns:
        The verdict as written.

    Raises:
        ValueError: An argument, the rules or a line of the log are not valid.
        StoreError: The store cannot be read.
    """
    from flywheel.components.store import lineage

    started = datetime.now(UTC)
    comparison = ab_compare.Comparison(run_id, *versions, share_b, AbRules.from_yaml(rules))
    found = ab_compare.compare(ab_traffic.read(store, log, since, until, simulated), comparison)
    found.write(verdict)
    ab_page.write(found, page)
    lineage.record_step(
        store,
        StepRecord(
            run_id=run_id,
            step="compare_live_versions",
            started_at=started,
            finished_at=datetime.now(UTC),
            outcome=found.decision,
            metrics=figures(found),
            details={"verdict": found.model_dump(mode="json", by_alias=True)},
        ),
    )
    return found


def figures(verdict: AbVerdict) -> dict[str, float]:
    """Return the numbers that the step shows; what was not measured is left out."""
    values = {f"users_{name}": float(count) for name, count in verdict.users.items()}
    values |= {f"matured_{name}": float(count) for name, count in verdict.matured.items()}
    values["contaminated"] = float(verdict.contaminated)
    for metric in verdict.metrics:
        for part in ("a", "b", "difference", "lower", "upper"):
            value = getattr(metric, part)
            if value is not None:
                values[f"{metric.name}_{part}"] = round(float(value), 6)
    return values

"""Everything around a run in one go: store, registry, endpoints and whatever else is asked; findings and a record."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from flywheel.components.preflight import reach
from flywheel.components.preflight.findings import Finding, demand


def look(store: str, registry: str, prometheus: str, asked: Callable[[], list[Finding]]) -> list[Finding]:
    """Look at the surroundings.

    Args:
        store: URI of the feedback store.
        registry: Registry URI.
        prometheus: Address of Prometheus; empty: none.
        asked: Asks what else is wanted, such as the cluster.

    Returns:
        The findings.
    """
    found = [reach.store(store), reach.registry(registry)]
    if prometheus:
        found.append(reach.endpoint("Prometheus", prometheus, "/-/ready"))
    return [*found, *asked()]


def check(
    store: str, registry: str, prometheus: str, asked: Callable[[], list[Finding]], page: str | Path, run_id: str
) -> int:
    """Look, write the findings for people and into the run's record, and refuse when something is missing.

    Args:
        store: URI of the feedback store.
        registry: Registry URI.
        prometheus: Address of Prometheus; empty: none.
        asked: Asks what else is wanted.
        page: Markdown file to write.
        run_id: Run.

    Returns:
        Findings that are unknown.

    Raises:
        NotReadyError: Something is missing.
    """
    from flywheel.components.contracts.lineage import StepRecord
    from flywheel.components.store import lineage

    began = datetime.now(UTC)
    found = look(store, registry, prometheus, asked)
    print("\n".join(finding.line() for finding in found), flush=True)
    Path(page).write_text(markdown(found), encoding="utf-8")
    demand(found)
    unknown = sum(finding.state == "unknown" for finding in found)
    lineage.record_step(
        store,
        StepRecord(
            run_id=run_id,
            step="check_surroundings",
            started_at=began,
            finished_at=datetime.now(UTC),
            outcome=f"{len(found) - unknown} ready" + (f", {unknown} unknown" if unknown else ""),
            details={"findings": [finding.line() for finding in found]},
        ),
    )
    return unknown


def markdown(found: list[Finding]) -> str:
    """Render the findings as a table."""
    lines = ["| looked for | state | found | what to do |", "|---|---|---|---|"]
    for finding in found:
        cells = (finding.what, finding.state, finding.words, finding.remedy)
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines) + "\n"

"""The rows at every border of the loop: what came in, what went on, what stayed behind and why."""

from collections.abc import Sequence
from typing import Any

from flywheel.components.contracts.lineage import StepRecord

# A step must take in exactly what the step before it let pass.
_HANDED_ON = {
    "classify_corrections": "deduplicate_feedback",
    "route_candidates": "classify_corrections",
    "cluster_feedback": "route_candidates",
    "assemble_dataset": "route_candidates",
}


def borders(records: Sequence[StepRecord]) -> list[dict[str, Any]]:
    """List the counts of every step that counts rows.

    Args:
        records: The run's step records in order of time.

    Returns:
        For each: step, rows_in, accepted, duplicates, in_review, quarantined (by reason), out (their sum), conserved,
        and `from`, `handed_on`, `continuous` when another step hands on to it.
    """
    by_step = {record.step: record for record in records}
    found = []
    for record in records:
        if record.rows is None:
            continue
        rows = record.rows
        out = rows.accepted + rows.duplicates + rows.in_review + sum(rows.quarantined.values())
        line: dict[str, Any] = {
            "step": record.step,
            **rows.model_dump(mode="json"),
            "out": out,
            "conserved": out == rows.rows_in,
        }
        before = by_step.get(_HANDED_ON.get(record.step, ""))
        if before is not None and before.rows is not None:
            handed = before.rows.accepted
            line |= {"from": before.step, "handed_on": handed, "continuous": handed == rows.rows_in}
        found.append(line)
    return found

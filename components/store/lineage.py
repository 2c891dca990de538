"""Step records in the store: what each step of each run did, for the exit report and for people."""

import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.contracts.lineage import StepRecord
from flywheel.components.store import delta_table
from flywheel.components.store.tables import SCHEMAS, row_id


def record_step(store: str, record: StepRecord) -> None:
    """Keep a step's record; a later attempt of the same step of the same run replaces an earlier one on reading.

    Raises:
        StoreError: The store cannot be written.
    """
    text = record.to_json()
    lineage_id = row_id(record.run_id, record.step, text)
    row = pa.Table.from_pylist(
        [
            {
                "lineage_id": lineage_id,
                "run_id": record.run_id,
                "step": record.step,
                "finished_at": record.finished_at,
                "record": text,
            }
        ],
        schema=SCHEMAS["lineage"],
    )
    delta_table.append(store, "lineage", row, batch=lineage_id)


def steps(store: str, run_id: str) -> list[StepRecord]:
    """Return the latest record of each step of a run, in order of `finished_at`; none for an unknown run or store."""
    if not delta_table.exists(store, "lineage"):
        return []
    rows = delta_table.read(
        delta_table.latest(store, "lineage"),
        columns=["step", "finished_at", "record"],
        where=pc.field("run_id") == run_id,
    )
    newest: dict[str, str] = {}
    for row in rows.sort_by([("finished_at", "ascending"), ("record", "ascending")]).to_pylist():
        newest.pop(row["step"], None)  # so that the order is the order of the last attempts
        newest[row["step"]] = row["record"]
    return [StepRecord.model_validate_json(text) for text in newest.values()]


def of_step(store: str, step: str) -> list[StepRecord]:
    """Return the latest record of a step of each run that has one, in order of `finished_at`; none without a store."""
    if not delta_table.exists(store, "lineage"):
        return []
    rows = delta_table.read(
        delta_table.latest(store, "lineage"),
        columns=["run_id", "finished_at", "record"],
        where=pc.field("step") == step,
    )
    newest: dict[str, str] = {}
    for row in rows.sort_by([("finished_at", "ascending"), ("record", "ascending")]).to_pylist():
        newest.pop(row["run_id"], None)
        newest[row["run_id"]] = row["record"]
    return [StepRecord.model_validate_json(text) for text in newest.values()]


def runs(store: str) -> list[str]:
    """Return the ids of all runs with a record, the run that was active last at the end."""
    if not delta_table.exists(store, "lineage"):
        return []
    rows = delta_table.read(delta_table.latest(store, "lineage"), columns=["run_id", "finished_at"])
    last = rows.group_by("run_id").aggregate([("finished_at", "max")])
    ordered = last.sort_by([("finished_at_max", "ascending"), ("run_id", "ascending")])
    return [str(name) for name in ordered["run_id"].to_pylist()]

"""Cluster the failures and append the candidates to the store."""

from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.contracts.tables import CandidateSnapshot, FeedbackSnapshot
from flywheel.components.curation.stages.files import read
from flywheel.components.curation.stages.records import record
from flywheel.components.curation.stages.votes import rated_interactions
from flywheel.components.store import delta_table
from flywheel.components.store.tables import SCHEMAS, row_id


def cluster(routed: str, candidates: str, store: str, run_id: str) -> StepRecord:
    """Cluster the failures, name the clusters, and append the candidates to the store.

    Args:
        routed: Parquet file of `route`.
        candidates: Path of the candidate snapshot to write.
        store: URI of the feedback store.
        run_id: Run.

    Raises:
        ValueError: The file is not one of `route`, or the store cannot be written.
    """
    from flywheel.components.curation.clustering import clusters

    started = datetime.now(UTC)
    table, notes = read(routed)
    rows = sorted(table.to_pylist(), key=lambda row: row["candidate_id"])
    snapshot = FeedbackSnapshot.model_validate(notes["snapshot"])
    corrected = {row["interaction_id"] for row in rows}
    rated = rated_interactions(snapshot)
    failed = [row for row in rows if row["route"] != "discard"]
    uncorrected = [row for row in rated if row["down"] > row["up"] and row["interaction_id"] not in corrected]
    failures = failed + uncorrected
    error_types = [row.get("category", "uncorrected") for row in failures]
    liked = [row for row in rated if row["up"] > row["down"]]
    result = clusters.cluster(
        [(row["prompt"], row["response"]) for row in failures],
        error_types,
        [(row["prompt"], row["response"]) for row in liked],
    )
    place = {row["candidate_id"]: result.clusters[index] for row, index in zip(failed, result.of_failure, strict=False)}
    for row in rows:
        home = place.get(row["candidate_id"])
        row |= {"run_id": run_id, "cluster_id": home.id if home else "", "cluster_name": home.name if home else ""}
    written = _append_candidates(store, run_id, rows)
    CandidateSnapshot(candidates=written.reference, run_id=run_id).write(candidates)
    accepted = sum(row["route"] == "accept" for row in rows)
    return record(
        "cluster_feedback",
        run_id,
        started,
        RowCounts(rows_in=accepted, accepted=accepted),
        {
            "clusters": len(result.clusters),
            "rows_written": written.inserted,
            "failures": len(failures),
            "successes": len(liked),
        },
        {
            "clusters": [asdict(found) for found in result.clusters],
            "error_types": dict(sorted(Counter(error_types).items())),
            "silhouette": result.silhouette,
            "successes": len(liked),
        },
    )


def _append_candidates(store: str, run_id: str, rows: list[dict[str, Any]]) -> delta_table.Appended:
    """Append the run's candidates once; a run that was curated before must have come to the same result.

    Raises:
        ValueError: The store holds other candidates of this run.
    """
    names = SCHEMAS["candidates"].names
    final = pa.Table.from_pylist([{name: row[name] for name in names} for row in rows], SCHEMAS["candidates"])
    content = row_id(run_id, *(str(value) for row in final.to_pylist() for value in row.values()))
    written = delta_table.append(store, "candidates", final, batch=f"candidates-{content}")
    if written.already_there:
        there = delta_table.read(written.reference, where=pc.field("run_id") == run_id)
        if there.sort_by("candidate_id") != final.sort_by("candidate_id"):
            raise ValueError(
                f"run {run_id} was curated before with another result, and the store keeps what it holds; "
                "use a new run id to curate with other data or settings"
            )
    return written

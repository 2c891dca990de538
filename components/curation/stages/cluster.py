"""Cluster failures and successes, and append the candidates to the store."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.contracts.tables import CandidateSnapshot, FeedbackSnapshot
from flywheel.components.curation.stages.files import read
from flywheel.components.curation.stages.records import record
from flywheel.components.curation.stages.votes import rated_interactions
from flywheel.components.store import delta_table, observed
from flywheel.components.store.tables import SCHEMAS, row_id

THIN_BELOW = 20


def cluster(
    routed: str,
    candidates: str,
    store: str,
    run_id: str,
    encoder: str = "hashed",
    method: str = "kmeans",
    thin_below: int = THIN_BELOW,
) -> StepRecord:
    """Cluster failures and successes, name the clusters, and append the candidates to the store.

    Args:
        routed: Parquet file of `route`.
        candidates: Path of the candidate snapshot to write.
        store: URI of the feedback store; the records of earlier runs in it name the clusters that have ids.
        run_id: Run.
        encoder: Name of a text encoder: "hashed" or "minilm".
        method: "kmeans" or "hdbscan".
        thin_below: A cluster with fewer accepted corrections is marked as thin.

    Raises:
        ValueError: The file is not one of `route`, a parameter is not valid, or the store cannot be written.
        ModuleNotFoundError: The encoder's extra is not installed.
    """
    from flywheel.components.curation.clustering import clusters, roster, summary
    from flywheel.components.curation.clustering.points import Case

    if thin_below < 0:
        raise ValueError(f"thin_below must be 0 or more, got {thin_below}")
    started = datetime.now(UTC)
    table, notes = read(routed)
    rows = sorted(table.to_pylist(), key=lambda row: row["candidate_id"])
    snapshot = FeedbackSnapshot.model_validate(notes["snapshot"])
    rated = rated_interactions(snapshot)
    failed = [row for row in rows if row["route"] != "discard"]
    corrected = {row["interaction_id"] for row in rows}
    uncorrected = [row for row in rated if row["down"] > row["up"] and row["interaction_id"] not in corrected]
    failures = [
        summary.Failure(
            Case(row["prompt"], row["response"], row["subject"], row["timestamp"]),
            row.get("category", "uncorrected"),
            row.get("route") == "accept",
            tuple(zip(*_met(row), strict=True)),
        )
        for row in failed + uncorrected
    ]
    liked = [
        Case(row["prompt"], row["response"], row["subject"], row["timestamp"])
        for row in rated
        if row["up"] > row["down"]
    ]
    known = roster.previous(store, run_id)
    how = (run_id, encoder, method)
    found = clusters.cluster([failure.case for failure in failures], *how, known.get("failures"), "c")
    pleased = clusters.cluster(liked, *how, known.get("liked"), "s")
    everyone = observed.read(snapshot.interactions, ["subject", "timestamp"])
    times = list(zip(everyone["subject"].to_pylist(), everyone["timestamp"].to_pylist(), strict=True))
    details = summary.describe(found, failures, pleased, liked, times, thin_below)
    place = {row["candidate_id"]: found.clusters[index] for row, index in zip(failed, found.of_case, strict=False)}
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
        _metrics(details) | {"rows_written": written.inserted},
        details | {"encoder": encoder, "method": method, "previous_run": _run_of(known)},
    )


def _met(row: dict[str, Any]) -> tuple[list[str], list[datetime]]:
    """Who met with a failure, and when: everyone who gave the correction, or the one who was not pleased."""
    return row.get("supporters") or [row["subject"]], row.get("supported_at") or [row["timestamp"]]


def _run_of(known: dict[str, Any]) -> str:
    return next((one.run_id for one in known.values()), "")


def _metrics(details: dict[str, Any]) -> dict[str, float]:
    found = details["clusters"]
    changes = [one["change"] for one in found]
    calls = [one["trend"]["call"] for one in found]
    steady = {"stability_ari": details["stability"]["ari"]} if details["stability"] else {}
    return {
        "clusters": len(found),
        "liked_clusters": len(details["liked_clusters"]),
        "failures": details["failures"],
        "successes": details["successes"],
        "clusters_kept": changes.count("kept"),
        "clusters_new": changes.count("new"),
        "clusters_gone": len(details["gone"]),
        "clusters_growing": calls.count("growing"),
        "clusters_thin": sum(one["thin"] for one in found),
        **steady,
    }


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

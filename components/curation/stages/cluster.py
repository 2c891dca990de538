"""Cluster failures and successes, and append the candidates to the store."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.contracts.tables import CandidateSnapshot, FeedbackSnapshot
from flywheel.components.curation.stages.candidate_rows import Candidates
from flywheel.components.curation.stages.files import StageFile, find
from flywheel.components.curation.stages.records import record
from flywheel.components.curation.stages.votes import rated_batches
from flywheel.components.store import observed

if TYPE_CHECKING:
    from flywheel.components.curation.clustering.exchanges import Exchanges
    from flywheel.components.curation.clustering.points import Case
    from flywheel.components.curation.clustering.summary import Failures
    from flywheel.components.curation.clustering.trend import Events
    from flywheel.components.curation.clustering.users import Users

THIN_BELOW = 20

_RATED = ("subject", "timestamp", "prompt", "response")
_FAILURE = [*_RATED, "category", "route", "supporters", "supported_at"]


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

    Candidates and log stream. In memory stay vectors of a sample of bounded size, how often each word occurs in each
    cluster, the ratings, and of a candidate 300 bytes, of a failed or up-voted interaction 90, of any other 12; texts
    lie in temporary files.

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
    from flywheel.components.curation.clustering.exchanges import Exchanges
    from flywheel.components.curation.clustering.users import Users

    if thin_below < 0:
        raise ValueError(f"thin_below must be 0 or more, got {thin_below}")
    started = datetime.now(UTC)
    file = find(routed)
    snapshot = FeedbackSnapshot.model_validate(file.notes["snapshot"])
    users = Users()
    with Exchanges(encoder, users) as wrong, Exchanges(encoder, users) as liked, Candidates(run_id) as rows:
        failures = summary.Failures(wrong)
        _read_candidates(file, failures, rows)
        _read_rated(snapshot, rows.finish(), failures, liked)
        known = roster.previous(store, run_id)
        how = (run_id, encoder, method)
        found = clusters.cluster(wrong, *how, known.get("failures"), "c")
        pleased = clusters.cluster(liked, *how, known.get("liked"), "s")
        details = summary.describe(found, failures, pleased, liked, _everyone(snapshot, users), thin_below)
        written = rows.append_to(store, [(home.id, home.name) for home in found.clusters], found.of_case)
        accepted = rows.accepted
    CandidateSnapshot(candidates=written.reference, run_id=run_id).write(candidates)
    return record(
        "cluster_feedback",
        run_id,
        started,
        RowCounts(rows_in=accepted, accepted=accepted),
        _metrics(details) | {"rows_written": written.inserted},
        details | {"encoder": encoder, "method": method, "previous_run": _run_of(known)},
    )


def _read_candidates(file: StageFile, failures: "Failures", rows: Candidates) -> None:
    """Every candidate that is not discarded is a failure, of everyone who gave the correction."""
    for batch in file.batches():
        rows.add(batch)
        some = batch.select(_FAILURE).filter(pc.not_equal(batch["route"], "discard")).to_pylist()
        failures.add(
            [_case(row) for row in some],
            [row["category"] for row in some],
            [row["route"] == "accept" for row in some],
            [list(zip(row["supporters"], row["supported_at"], strict=True)) for row in some],
        )


def _read_rated(snapshot: FeedbackSnapshot, corrected: Candidates, failures: "Failures", liked: "Exchanges") -> None:
    """Down-voted answers that nobody corrected are failures too, of the one who asked; up-voted ones are successes."""
    for some in rated_batches(snapshot, _RATED):
        known = corrected.correct([row["interaction_id"] for row in some]).tolist()
        wrong = [row for row, has in zip(some, known, strict=True) if row["down"] > row["up"] and not has]
        events = [[(row["subject"], row["timestamp"])] for row in wrong]
        failures.add(list(map(_case, wrong)), ["uncorrected"] * len(wrong), [False] * len(wrong), events)
        liked.add(_case(row) for row in some if row["up"] > row["down"])


def _case(row: Mapping[str, Any]) -> "Case":
    from flywheel.components.curation.clustering.points import Case

    return Case(row["prompt"], row["response"], row["subject"], row["timestamp"])


def _everyone(snapshot: FeedbackSnapshot, users: "Users") -> "Events":
    """Every interaction of the log: who and when."""
    from flywheel.components.curation.clustering.trend import Events

    who, when = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
    for batch in observed.batches(snapshot.interactions, ["subject", "timestamp"]):
        who.append(users.numbers(batch["subject"].to_pylist()))
        when.append(batch["timestamp"].cast(pa.int64()).to_numpy())
    return Events(users.ranks(np.concatenate(who)), np.concatenate(when))


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

"""Ask people: the requests of a run go into the store, and into a queue."""

from dataclasses import replace
from datetime import UTC, datetime

import pyarrow.compute as pc

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.contracts.tables import CandidateSnapshot
from flywheel.components.curation.guards import coalition, contradictions
from flywheel.components.curation.review import csv_queue, reviewed
from flywheel.components.curation.review.label_studio import PROJECT, LabelStudioQueue
from flywheel.components.curation.review.requests import Request, request_rows, requests_of
from flywheel.components.curation.review.reviewed import AUDIT
from flywheel.components.store import delta_table, lineage

STEP = "export_for_review"


def requests_for(snapshot: CandidateSnapshot, limit: int = 0) -> list[Request]:
    """What people should be asked about a run's candidates, the audit sample first.

    Raises:
        ValueError: `limit` is negative.
        StoreError: The store cannot be read.
    """
    if limit < 0:
        raise ValueError(f"limit must be at least 0 (no limit), got {limit}")
    rows = delta_table.read(snapshot.candidates, where=pc.field("run_id") == snapshot.run_id).to_pylist()
    said = reviewed.read(reviewed.version_for(snapshot.candidates.store, snapshot.run_id))
    asked = _asked(snapshot)
    sides = _sides(snapshot) | {name: coalition.in_words(users) for name, users in (asked or {}).items()}
    return [
        replace(request, sides=sides.get(request.candidate["candidate_id"], ""))
        for request in requests_of(rows, said, limit, asked)
    ]


def export(
    snapshot: CandidateSnapshot,
    queue: str,
    run_id: str,
    *,
    url: str = "",
    project: str = PROJECT,
    token_variable: str = "",
    limit: int = 0,
) -> StepRecord:
    """Write the requests into the store, then into a CSV file and, with a `url`, into Label Studio.

    Args:
        snapshot: Candidates of the run.
        queue: CSV file to write.
        run_id: Run.
        url: Label Studio; "" for none.
        project: Title of the project there.
        token_variable: NAME of the environment variable with its token.
        limit: Most requests, 0 for no limit.

    Returns:
        The record; rows in = requested (`in_review`), since nothing is settled by asking.

    Raises:
        ReviewError: Label Studio cannot be used; the requests are in the store and the file by then.
        ValueError: A parameter is not valid.
        StoreError: The store cannot be used.
    """
    started = datetime.now(UTC)
    store = snapshot.candidates.store
    requests = requests_for(snapshot, limit)
    written = delta_table.append(store, "reviews", request_rows(requests, started), batch=f"{STEP}-{run_id}")
    csv_queue.write(requests, queue)
    audited = sum(request.reason == AUDIT for request in requests)
    metrics = {"requested": len(requests), "audit": audited, "new_requests": written.inserted}
    if url:
        pushed = LabelStudioQueue(url, token_variable, project).push(requests)
        metrics |= {"tasks_added": pushed.added, "tasks_there_already": pushed.there_already}
    reasons: dict[str, int] = {}
    for request in requests:
        reasons[request.reason] = reasons.get(request.reason, 0) + 1
    return StepRecord(
        run_id=run_id,
        step=STEP,
        started_at=started,
        finished_at=datetime.now(UTC),
        rows=RowCounts(rows_in=len(requests), accepted=0, in_review=len(requests)),
        outcome=f"{len(requests)} requests, {audited} of them the random audit",
        metrics={name: float(value) for name, value in metrics.items()},
        details={"reasons": dict(sorted(reasons.items())), "reviews": written.reference.model_dump(mode="json")},
    )


def _sides(snapshot: CandidateSnapshot) -> dict[str, str]:
    """The sides of each conflict by candidate, from the router's record of the run."""
    found: dict[str, str] = {}
    for step in lineage.steps(snapshot.candidates.store, snapshot.run_id):
        if step.step == "route_candidates":
            for conflict in step.details.get("conflicts", ()):
                told = contradictions.in_words(conflict)
                found |= {name: told for side in conflict["sides"] for name in side["rows"]}
    return found


def _asked(snapshot: CandidateSnapshot) -> dict[str, int] | None:
    """The candidates that stand for the unconfirmed claims, from the router's record; None when it does not say."""
    for step in lineage.steps(snapshot.candidates.store, snapshot.run_id):
        if step.step == "route_candidates" and "unconfirmed" in step.details:
            return dict(step.details["unconfirmed"]["asked"])
    return None


def newest_candidates(store: str, run_id: str = "") -> CandidateSnapshot:
    """The candidates of a run, of the newest run that was curated when none is named.

    Raises:
        ValueError: The store has no candidates (of this run).
    """
    if not delta_table.exists(store, "candidates"):
        raise ValueError(f"store {store} has no candidates; run the pipeline on it first")
    wanted = run_id or next((run for run in reversed(lineage.runs(store)) if _curated(store, run)), "")
    table = delta_table.latest(store, "candidates")
    if not wanted or not delta_table.read(table, ["candidate_id"], pc.field("run_id") == wanted).num_rows:
        raise ValueError(f"store {store} has no candidates of run {run_id or '(any)'}")
    return CandidateSnapshot(candidates=table, run_id=wanted)


def _curated(store: str, run_id: str) -> bool:
    return any(record.step == "cluster_feedback" for record in lineage.steps(store, run_id))

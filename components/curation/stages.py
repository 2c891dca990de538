"""The five stages of curation over paths and the store; each returns the record of what it did.

Between stages rows travel as Parquet files; what a later stage needs besides rows (the feedback snapshot, the
calibration) travels in the file's schema metadata, so that a stage can run again alone.
"""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.contracts.tables import CandidateSnapshot, FeedbackSnapshot
from flywheel.components.curation import entity_lexicon
from flywheel.components.store import delta_table, lineage, observed
from flywheel.components.store.tables import SCHEMAS, row_id

_KEY = b"flywheel.curation"


def deduplicate(feedback: str, kept: str, run_id: str, jaccard: float = 0.8) -> StepRecord:
    """Collect corrections and remove duplicates.

    Args:
        feedback: Path of a feedback snapshot.
        kept: Path of the Parquet file to write.
        run_id: Run.
        jaccard: Least similarity of near-duplicates, in (0, 1].

    Raises:
        ValueError: The snapshot or `jaccard` is not valid.
    """
    from flywheel.components.curation import corrections, deduplication

    started = datetime.now(UTC)
    snapshot = FeedbackSnapshot.read(feedback)
    interactions, signals = observed.read(snapshot.interactions), observed.read(snapshot.feedback)
    found = corrections.collect(interactions, signals)
    lexicon = _lexicon(interactions, found.rows["correction"].to_pylist())
    activity = deduplication.activity_of(interactions)
    contexts = [corrections.context_of(text) for text in interactions["messages"].to_pylist()]
    votes = deduplication.endorsements(interactions, signals, lexicon, contexts)
    result = deduplication.deduplicate(found.rows, lexicon, activity, votes, jaccard)
    notes = {"snapshot": snapshot.model_dump(mode="json"), "median_activity": float(median(activity.values() or [0]))}
    _write(result.rows, kept, notes)
    groups = len(set(result.rows["group_id"].to_pylist()))
    return _record(
        "deduplicate_feedback",
        run_id,
        started,
        RowCounts(
            rows_in=found.corrections,
            accepted=result.rows.num_rows,
            duplicates=result.exact + result.near,
            quarantined=found.quarantined,
        ),
        {"exact": result.exact, "near": result.near, "groups": groups, "not_candidates": found.not_candidates},
        {
            "exact": result.exact,
            "near": result.near,
            "groups": groups,
            "duplicate_groups": result.groups,
            "lead_ins_removed": found.lead_ins,
            "interactions_without_correction": found.not_candidates,
            "error_rate": "near-duplicates are verified exactly; of the pairs at Jaccard 0.8 or more the candidate "
            "search misses less than 0.1 %",
            **notes,
        },
    )


def classify(kept: str, classified: str, run_id: str, labels: str = "") -> StepRecord:
    """Add category and confidence to the kept corrections.

    Args:
        kept: Parquet file of `deduplicate`.
        classified: Path of the Parquet file to write.
        run_id: Run.
        labels: Path of the user's labels (JSON lines), "" for none.

    Raises:
        ValueError: The labels or the rows are not valid.
        FileNotFoundError: A path does not exist.
    """
    from flywheel.components.curation import category_classifier

    started = datetime.now(UTC)
    table, notes = _read(kept)
    model, quality = category_classifier.train(category_classifier.read_labels(labels) if labels else ())
    columns = ["prompt", "response", "correction", "comment"]
    categories, confidence = model.predict(table.select(columns).to_pylist())
    table = table.append_column("category", pa.array(categories, pa.string()))
    table = table.append_column("confidence", pa.array(confidence, pa.float64()))
    calibration = {"predicted": quality.predicted, "scores": quality.scores, "correct": quality.correct}
    _write(table, classified, {**notes, "calibration": calibration})
    shown = {name: value for name, value in asdict(quality).items() if name not in calibration}
    return _record(
        "classify_corrections",
        run_id,
        started,
        RowCounts(rows_in=table.num_rows, accepted=table.num_rows),
        {
            "accuracy": quality.accuracy,
            "calibration_error_before": quality.error_before,
            "calibration_error_after": quality.error_after,
            "mean_confidence": float(sum(confidence) / len(confidence)) if confidence else 0.0,
        },
        {
            "categories": dict(sorted(Counter(categories).items())),
            "calibration": {**shown, "categories": list(category_classifier.CATEGORIES)},
            "error_rate": f"out of fold, {1 - quality.accuracy:.1%} of the labelled corrections get a wrong category",
        },
    )


def route(
    classified: str,
    routed: str,
    run_id: str,
    target_precision: float = 0.9,
    confidence: float = 0.9,
    max_share_per_subject: float = 0.02,
) -> StepRecord:
    """Decide on every candidate: accept, review or discard.

    Args:
        classified: Parquet file of `classify`.
        routed: Path of the Parquet file to write.
        run_id: Run.
        target_precision: Precision of the category to guarantee among accepted rows, in (0, 1).
        confidence: Confidence of that guarantee, in (0, 1).
        max_share_per_subject: Greatest share of the accepted rows that one subject alone may stand behind, in (0, 1].

    Raises:
        ValueError: A parameter is out of range or the file is not one of `classify`.
    """
    from flywheel.components.curation import router

    started = datetime.now(UTC)
    table, notes = _read(classified, "calibration")
    rows = table.to_pylist()
    result = router.route(
        rows,
        notes["calibration"],
        run_id,
        float(notes["median_activity"]),
        target_precision,
        confidence,
        max_share_per_subject,
    )
    for name in ("candidate_id", "route", "reason"):
        table = table.append_column(name, pa.array([row[name] for row in result.rows], pa.string()))
    _write(table, routed, {name: value for name, value in notes.items() if name != "calibration"})
    routes = result.routes()
    return _record(
        "route_candidates",
        run_id,
        started,
        RowCounts(
            rows_in=table.num_rows,
            accepted=routes["accept"],
            in_review=routes["review"],
            quarantined=result.reasons("discard"),
        ),
        {f"route_{name}": count for name, count in routes.items()} | {"audit": len(result.audit)},
        {
            "routes": routes,
            "reasons": result.reasons(),
            "thresholds": {name: asdict(choice) for name, choice in result.thresholds.items()},
            "audit": {"share": router.AUDIT_SHARE, "candidates": result.audit},
            "error_rate": result.error_rate,
        },
    )


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
    from flywheel.components.curation import clusters

    started = datetime.now(UTC)
    table, notes = _read(routed)
    rows = sorted(table.to_pylist(), key=lambda row: row["candidate_id"])
    snapshot = FeedbackSnapshot.model_validate(notes["snapshot"])
    corrected = {row["interaction_id"] for row in rows}
    rated = _rated(snapshot)
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
    return _record(
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


def mine_preferences(candidates: str, pairs: str, store: str, run_id: str) -> StepRecord:
    """Write the preference pairs of a run.

    Args:
        candidates: Path of a candidate snapshot.
        pairs: Path of the Parquet file to write (`preference_pairs.SCHEMA`).
        store: URI of the feedback store; the run's record of `deduplicate_feedback` names the version of the votes.
        run_id: Run.

    Raises:
        ValueError: The snapshot is not valid or the store cannot be read.
    """
    from flywheel.components.curation import preference_pairs

    started = datetime.now(UTC)
    snapshot = CandidateSnapshot.read(candidates)
    wanted = (pc.field("run_id") == snapshot.run_id) & (pc.field("route") == "accept")
    accepted = delta_table.read(snapshot.candidates, where=wanted).to_pylist()
    votes = _votes_of(store, snapshot.run_id)
    lexicon = _lexicon(observed.read(votes.interactions), [row["correction"] for row in accepted])
    mined = preference_pairs.mine(accepted, _rated(votes), lexicon)
    _write(mined.pairs, pairs, {"candidates": snapshot.model_dump(mode="json")})
    return _record(
        "mine_preferences",
        run_id,
        started,
        RowCounts(
            rows_in=mined.considered,
            accepted=mined.pairs.num_rows,
            duplicates=mined.duplicates,
            quarantined=mined.dropped,
        ),
        {"pairs": mined.pairs.num_rows, **{f"pairs_{kind}": count for kind, count in mined.evidence().items()}},
        {"evidence": mined.evidence()},
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


def _votes_of(store: str, run_id: str) -> FeedbackSnapshot:
    """The feedback version that the run curated; the newest one when this room's first stage did not run."""
    for record in lineage.steps(store, run_id):
        if record.step == "deduplicate_feedback":
            return FeedbackSnapshot.model_validate(record.details["snapshot"])
    return FeedbackSnapshot(
        interactions=delta_table.latest(store, "interactions"), feedback=delta_table.latest(store, "feedback")
    )


def _rated(snapshot: FeedbackSnapshot) -> list[dict[str, Any]]:
    """Interactions with ratings, by id: prompt, messages, response, and distinct users up and down."""
    rating = observed.read(
        snapshot.feedback, ["interaction_id", "subject", "timestamp", "value"], where=pc.field("kind") == "rating"
    )
    latest: dict[tuple[str, str], float] = {}
    for row in rating.sort_by("timestamp").to_pylist():
        latest[row["interaction_id"], row["subject"]] = row["value"] or 0.0
    up = Counter(interaction for (interaction, _), value in latest.items() if value > 0)
    down = Counter(interaction for (interaction, _), value in latest.items() if value < 0)
    columns = ["interaction_id", "prompt", "messages", "response", "consent"]
    known = observed.read(snapshot.interactions, columns)
    rows = known.filter(pc.is_in(known["interaction_id"], pa.array(sorted(up.keys() | down.keys()), pa.string())))
    return [
        row | {"up": up[row["interaction_id"]], "down": down[row["interaction_id"]]}
        for row in rows.to_pylist()
        if row["consent"]
    ]


def _lexicon(interactions: pa.Table, more: list[str]) -> frozenset[str]:
    texts = {*interactions["prompt"].to_pylist(), *interactions["response"].to_pylist(), *more}
    return entity_lexicon.build(texts)


def _record(
    step: str,
    run_id: str,
    started: datetime,
    rows: RowCounts,
    metrics: Mapping[str, float],
    details: dict[str, Any],
) -> StepRecord:
    return StepRecord(
        run_id=run_id,
        step=step,
        started_at=started,
        finished_at=datetime.now(UTC),
        rows=rows,
        metrics={name: float(value) for name, value in metrics.items()},
        details=details,
    )


def _write(table: pa.Table, path: str, notes: dict[str, Any]) -> None:
    """Write a Parquet file with notes, so that a reader sees no file or the whole file."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(handle)
    pq.write_table(table.replace_schema_metadata({_KEY: json.dumps(notes).encode()}), temporary)
    Path(temporary).replace(target)


def _read(path: str, *needed: str) -> tuple[pa.Table, dict[str, Any]]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist; run the curation step before this one first")
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} is not a Parquet file of curation: {error}") from error
    notes = json.loads((table.schema.metadata or {}).get(_KEY, b"{}"))
    missing = [name for name in ("snapshot", "median_activity", *needed) if name not in notes]
    if missing:
        raise ValueError(f"{path} was not written by the curation step before this one: it lacks {', '.join(missing)}")
    return table, notes

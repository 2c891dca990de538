"""Ours: logs of poisoned worlds through deduplication, classifier and router."""

import json
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa

from flywheel.components.contracts.tables import TableName
from flywheel.components.curation import corrections
from flywheel.components.curation.categories import category_classifier
from flywheel.components.curation.duplicates import deduplication
from flywheel.components.curation.guards import approval, askers
from flywheel.components.curation.guards.coalition import Audience
from flywheel.components.curation.routing import router
from flywheel.components.curation.stages.votes import lexicon_of
from flywheel.components.store.tables import SCHEMAS

_MODEL: list[Any] = []


def prepare(data: Path) -> None:
    """Train the classifier on the packaged labels."""
    del data
    _MODEL.extend(category_classifier.train())


def run(data: Path, out: Path) -> dict[str, Any]:
    """Curate every world and count what was accepted."""
    counts = {path.name.removesuffix(".world.json"): _curate(path) for path in sorted(data.glob("*.world.json"))}
    (out / "counts.json").write_text(json.dumps(counts), encoding="utf-8")
    return {"worlds": len(counts)}


def _table(rows: list[dict[str, Any]], name: TableName) -> pa.Table:
    blank = dict.fromkeys(SCHEMAS[name].names, "")
    made = [blank | row | {"timestamp": datetime.fromisoformat(row["timestamp"])} for row in rows]
    return pa.Table.from_pylist(made, SCHEMAS[name])


def _curate(path: Path) -> dict[str, int]:
    log = json.loads(path.read_text(encoding="utf-8"))
    interactions, feedback = _table(log["interactions"], "interactions"), _table(log["feedback"], "feedback")
    found = corrections.collect(interactions, feedback)
    lexicon = lexicon_of(interactions, found.rows["correction"].to_pylist())
    activity = deduplication.activity_of(interactions)
    contexts = [""] * interactions.num_rows
    votes = deduplication.endorsements(interactions, feedback, lexicon, contexts)
    corrected = found.rows["response"].to_pylist()
    asked = askers.last_asked(interactions, corrected, lexicon, contexts)
    audience = Audience(len(activity), found.rows.num_rows, approval.of_log(interactions, feedback, corrected))
    rows = deduplication.deduplicate(found.rows, lexicon, activity, votes, asked=asked).rows.to_pylist()
    model, quality = _MODEL
    categories, confidence = model.predict(rows)
    for row, category, sure in zip(rows, categories, confidence, strict=True):
        row |= {"category": category, "confidence": sure}
    calibration = {name: getattr(quality, name) for name in ("predicted", "scores", "correct", "audited")}
    routed = router.route(rows, calibration, "bench", float(median(activity.values())), audience=audience)
    bad, false = set(log["bad"]), set(log["false"])
    accepted = [row["interaction_id"] for row in routed.rows if row["route"] == "accept"]
    right = [row for row in routed.rows if row["interaction_id"] not in false]
    return {
        "rows": len(routed.rows),
        "accepted": len(accepted),
        "bad": sum(row["interaction_id"] in bad for row in routed.rows),
        "bad_accepted": sum(name in bad for name in accepted),
        "false_accepted": sum(name in false for name in accepted),
        "right": len(right),
        "asked": len(routed.asked),
        "right_held": sum(row["route"] != "accept" for row in right),
    }

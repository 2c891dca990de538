"""Ratings of a feedback snapshot, and the words that name things in it."""

from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.contracts.tables import FeedbackSnapshot
from flywheel.components.curation.texts import entity_lexicon
from flywheel.components.store import delta_table, lineage, observed


def votes_of(store: str, run_id: str) -> FeedbackSnapshot:
    """The feedback version that the run curated; the newest one when this room's first stage did not run."""
    for record in lineage.steps(store, run_id):
        if record.step == "deduplicate_feedback":
            return FeedbackSnapshot.model_validate(record.details["snapshot"])
    return FeedbackSnapshot(
        interactions=delta_table.latest(store, "interactions"), feedback=delta_table.latest(store, "feedback")
    )


def rated_interactions(snapshot: FeedbackSnapshot) -> list[dict[str, Any]]:
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


def lexicon_of(interactions: pa.Table, more: list[str]) -> frozenset[str]:
    """Names of things in the interactions and in `more` texts."""
    texts = {*interactions["prompt"].to_pylist(), *interactions["response"].to_pylist(), *more}
    return entity_lexicon.build(texts)

"""Ratings of a feedback snapshot, and the words that name things in it."""

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
    """Interactions with ratings, by id: subject, timestamp, prompt, messages, response and who rated.

    A user's last rating of an interaction counts. `up` and `down` are numbers of distinct users, `up_by` and `down_by`
    the users, `rating_ids` the feedback rows.
    """
    columns = ["feedback_id", "interaction_id", "subject", "timestamp", "value"]
    rating = observed.read(snapshot.feedback, columns, where=pc.field("kind") == "rating")
    latest: dict[tuple[str, str], tuple[float, str]] = {}
    for row in rating.sort_by([("timestamp", "ascending"), ("feedback_id", "ascending")]).to_pylist():
        latest[row["interaction_id"], row["subject"]] = row["value"] or 0.0, row["feedback_id"]
    rated: dict[str, dict[str, list[str]]] = {}
    for (interaction, subject), (value, feedback) in latest.items():
        if value:
            by = rated.setdefault(interaction, {"up_by": [], "down_by": [], "rating_ids": []})
            by["up_by" if value > 0 else "down_by"].append(subject)
            by["rating_ids"].append(feedback)
    columns = ["interaction_id", "subject", "timestamp", "prompt", "messages", "response", "consent"]
    known = observed.read(snapshot.interactions, columns)
    rows = known.filter(pc.is_in(known["interaction_id"], pa.array(sorted(rated), pa.string())))
    found = []
    for row in rows.to_pylist():
        if row["consent"]:
            by = {name: sorted(values) for name, values in rated[row["interaction_id"]].items()}
            found.append(row | by | {"up": len(by["up_by"]), "down": len(by["down_by"])})
    return found


def lexicon_of(interactions: pa.Table, more: list[str]) -> frozenset[str]:
    """Names of things in the interactions and in `more` texts."""
    texts = {*interactions["prompt"].to_pylist(), *interactions["response"].to_pylist(), *more}
    return entity_lexicon.build(texts)

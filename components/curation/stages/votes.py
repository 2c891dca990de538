"""Ratings of a feedback snapshot, and the words that name things in it."""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain, compress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.contracts.tables import FeedbackSnapshot, TableReference
from flywheel.components.curation.texts import entity_lexicon
from flywheel.components.store import delta_table, lineage, observed
from flywheel.components.store.tables import SCHEMAS


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
    rows = interactions_of(snapshot.interactions, pa.array(sorted(rated), pa.string()), columns)
    found = []
    for row in rows.to_pylist():
        if row["consent"]:
            by = {name: sorted(values) for name, values in rated[row["interaction_id"]].items()}
            found.append(row | by | {"up": len(by["up_by"]), "down": len(by["down_by"])})
    return found


def interactions_of(interactions: TableReference, ids: pa.Array, columns: list[str]) -> pa.Table:
    """The interactions with the ids given, ordered by id; the others stream by."""
    schema = pa.schema([SCHEMAS["interactions"].field(name) for name in columns])
    rows = (batch.filter(pc.is_in(batch["interaction_id"], ids)) for batch in observed.batches(interactions, columns))
    return pa.concat_tables([schema.empty_table(), *rows]).sort_by("interaction_id")


def lexicon_of(interactions: pa.Table, more: list[str]) -> frozenset[str]:
    """Names of things in the interactions and in `more` texts."""
    texts = {*interactions["prompt"].to_pylist(), *interactions["response"].to_pylist(), *more}
    return entity_lexicon.build(texts)


def lexicon_in(interactions: TableReference, more: Iterable[str]) -> frozenset[str]:
    """As `lexicon_of`, with the interactions streamed: in memory lie eight bytes for each of their texts."""
    return entity_lexicon.build(_distinct(chain(_texts(interactions), [list(more)])))


def _texts(interactions: TableReference) -> Iterator[list[str]]:
    for batch in observed.batches(interactions, ["prompt", "response"]):
        yield batch["prompt"].to_pylist() + batch["response"].to_pylist()


def _distinct(batches: Iterable[list[str]]) -> Iterator[str]:
    """Each text once; two are taken for one with probability 2^-64."""
    seen = np.zeros(0, dtype=np.uint64)
    for batch in batches:
        texts = list(dict.fromkeys(batch))
        digests = b"".join(
            hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts
        )
        numbers = np.frombuffer(digests, dtype=np.uint64)
        places = np.searchsorted(seen, numbers)
        new = (places == len(seen)) | (np.append(seen, np.uint64(0))[places] != numbers)
        yield from compress(texts, new.tolist())
        seen = np.sort(np.concatenate([seen, numbers[new]]))

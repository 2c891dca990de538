"""Ratings of a feedback snapshot, and the words that name things in it."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress, islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.contracts.tables import FeedbackSnapshot, TableReference
from flywheel.components.curation.stages import signals
from flywheel.components.curation.texts import entity_lexicon
from flywheel.components.store import delta_table, lineage, observed

RATED_COLUMNS = ("subject", "timestamp", "prompt", "messages", "response")
_ROWS = 2048


def votes_of(store: str, run_id: str) -> FeedbackSnapshot:
    """The feedback version that the run curated; the newest one when this room's first stage did not run."""
    for record in lineage.steps(store, run_id):
        if record.step == "deduplicate_feedback":
            return FeedbackSnapshot.model_validate(record.details["snapshot"])
    return FeedbackSnapshot(
        interactions=delta_table.latest(store, "interactions"), feedback=delta_table.latest(store, "feedback")
    )


def rated_batches(snapshot: FeedbackSnapshot, columns: Sequence[str] = RATED_COLUMNS) -> Iterator[list[dict[str, Any]]]:
    """Stream the interactions with ratings, in no particular order; in memory lie the ratings and a batch.

    Args:
        snapshot: Versions of the log and of the votes.
        columns: Columns of `interactions` wanted besides the id.

    Yields:
        Rows of interactions whose users agreed to training. A user's last rating of an interaction counts. `up` and
        `down` are numbers of distinct users, `up_by` and `down_by` the users, `rating_ids` the feedback rows.
    """
    wanted = list(dict.fromkeys(["interaction_id", *columns, "consent"]))
    given = observed.read(snapshot.feedback, [*signals.COLUMNS, "value"], pc.field("kind") == "rating")
    ratings = signals.latest(given).drop_columns(["timestamp"])
    ratings = ratings.filter(pc.not_equal(pc.fill_null(ratings["value"], 0.0), 0.0)).combine_chunks()
    interactions = observed.batches(snapshot.interactions, wanted, pc.field("consent"))
    for batch, places in signals.joined(ratings, interactions):
        by = [_votes(ratings.slice(place.start, len(place)).to_pylist()) for place in places]
        yield [row | votes for row, votes in zip(batch.to_pylist(), by, strict=True)]


def _votes(ratings: list[dict[str, Any]]) -> dict[str, Any]:
    up = [row["subject"] for row in ratings if row["value"] > 0]
    down = [row["subject"] for row in ratings if not row["value"] > 0]
    ids = sorted(row["feedback_id"] for row in ratings)
    return {"up_by": up, "down_by": down, "rating_ids": ids, "up": len(up), "down": len(down)}


def lexicon_of(interactions: pa.Table, more: list[str]) -> frozenset[str]:
    """Names of things in the interactions and in `more` texts."""
    texts = {*interactions["prompt"].to_pylist(), *interactions["response"].to_pylist(), *more}
    return entity_lexicon.build(texts)


def lexicon_in(interactions: TableReference, more: Iterable[str]) -> frozenset[str]:
    """As `lexicon_of`, with the interactions streamed: in memory lie eight bytes for each of their texts."""
    return entity_lexicon.build(_distinct(chain(_texts(interactions), _pieces(more))))


def _texts(interactions: TableReference) -> Iterator[list[str]]:
    for batch in observed.batches(interactions, ["prompt", "response"]):
        yield batch["prompt"].to_pylist() + batch["response"].to_pylist()


def _pieces(texts: Iterable[str]) -> Iterator[list[str]]:
    left = iter(texts)
    while some := list(islice(left, _ROWS)):
        yield some


def _distinct(batches: Iterable[list[str]]) -> Iterator[str]:
    """Each text once; two are taken for one with probability 2^-64."""
    runs: list[np.ndarray] = []  # digests that were seen, sorted; each run has at least twice the length of the next
    for batch in batches:
        texts = list(dict.fromkeys(batch))
        digests = b"".join(
            hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts
        )
        numbers = np.frombuffer(digests, dtype=np.uint64)
        new = np.ones(len(numbers), dtype=bool)
        for run in runs:
            new &= run[np.minimum(np.searchsorted(run, numbers), len(run) - 1)] != numbers
        yield from compress(texts, new.tolist())
        if new.any():
            runs.append(np.sort(numbers[new]))
        while len(runs) > 1 and len(runs[-2]) < 2 * len(runs[-1]):
            runs[-2:] = [np.sort(np.concatenate(runs[-2:]))]

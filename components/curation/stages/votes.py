"""Ratings of a feedback snapshot, and the words that name things in it."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.contracts.tables import FeedbackSnapshot, TableReference
from flywheel.components.curation.texts import entity_lexicon
from flywheel.components.store import delta_table, lineage, observed
from flywheel.components.store.tables import SCHEMAS

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


def rated_interactions(snapshot: FeedbackSnapshot) -> list[dict[str, Any]]:
    """Interactions with ratings, by id, all at once: the rows of `rated_batches`."""
    return sorted(chain.from_iterable(rated_batches(snapshot)), key=lambda row: str(row["interaction_id"]))


def rated_batches(snapshot: FeedbackSnapshot, columns: Sequence[str] = RATED_COLUMNS) -> Iterator[list[dict[str, Any]]]:
    """Stream the interactions with ratings, in no particular order; in memory lie the ids of the ratings and a batch.

    Args:
        snapshot: Versions of the log and of the votes.
        columns: Columns of `interactions` wanted besides the id.

    Yields:
        Rows of interactions whose users agreed to training. A user's last rating of an interaction counts. `up` and
        `down` are numbers of distinct users, `up_by` and `down_by` the users, `rating_ids` the feedback rows.
    """
    ratings = _Ratings(snapshot.feedback)
    wanted = list(dict.fromkeys(["interaction_id", *columns, "consent"]))
    for batch in observed.batches(snapshot.interactions, wanted):
        places = pc.index_in(batch["interaction_id"], ratings.interactions)
        rated = pc.and_(pc.is_valid(places), batch["consent"])
        found, places = batch.filter(rated), places.filter(rated)
        for start in range(0, found.num_rows, _ROWS):
            rows, at = found.slice(start, _ROWS).to_pylist(), places.slice(start, _ROWS).to_pylist()
            yield [row | ratings.of(place) for row, place in zip(rows, at, strict=True)]


class _Ratings:
    """The last rating of every user of every interaction; about 120 bytes each.

    Attributes:
        interactions: Ids of the rated interactions, sorted.
    """

    def __init__(self, feedback: TableReference) -> None:
        order = ["interaction_id", "subject", "timestamp", "feedback_id"]
        rows = observed.read(feedback, [*order, "value"], where=pc.field("kind") == "rating")
        rows = rows.sort_by([(name, "ascending") for name in order]).drop_columns(["timestamp"]).combine_chunks()
        same = [_repeats(rows[name]) for name in ("interaction_id", "subject")]
        last = ~np.append(same[0] & same[1], False)[: rows.num_rows]  # the next row is no newer rating of the same
        votes = pc.not_equal(pc.fill_null(rows["value"], 0.0), 0.0)
        rows = rows.filter(pc.and_(pa.array(last), votes)).combine_chunks()
        first = np.flatnonzero(~np.insert(_repeats(rows["interaction_id"]), 0, False)[: rows.num_rows])
        self.interactions = rows["interaction_id"].take(pa.array(first)).combine_chunks()
        self._begin = [*first.tolist(), rows.num_rows]
        self._rows = rows.select(["subject", "value", "feedback_id"])

    def of(self, place: int) -> dict[str, Any]:
        """Who rated the interaction of this place."""
        begin, end = self._begin[place], self._begin[place + 1]
        rows = self._rows.slice(begin, end - begin).to_pylist()
        up = [row["subject"] for row in rows if row["value"] > 0]
        down = [row["subject"] for row in rows if not row["value"] > 0]
        ids = sorted(row["feedback_id"] for row in rows)
        return {"up_by": up, "down_by": down, "rating_ids": ids, "up": len(up), "down": len(down)}


def _repeats(column: pa.ChunkedArray) -> np.ndarray:
    """Whether each value but the first is the one before it."""
    return np.asarray(pc.equal(column[1:], column[:-1]).to_numpy(), dtype=bool)


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

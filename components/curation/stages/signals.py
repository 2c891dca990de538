"""Signals of the feedback table, and the interactions that they are about while the log streams by."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.curation.texts.digests import SIZE, digest

COLUMNS = ["interaction_id", "subject", "timestamp", "feedback_id"]
_ROWS = 1024  # interactions at once


def latest(signals: pa.Table) -> pa.Table:
    """The last signal of every user about every interaction; of several at one time the one with the higher id.

    Args:
        signals: Rows of one kind with `COLUMNS` and others.

    Returns:
        The last ones, ordered by interaction, then subject.
    """
    rows = signals.sort_by([(name, "ascending") for name in COLUMNS])
    again = _repeats(rows["interaction_id"]) & _repeats(rows["subject"])
    return rows.filter(pa.array(~np.append(again[1:], False)[: len(again)])).combine_chunks()


def joined(signals: pa.Table, interactions: Iterable[pa.Table]) -> Iterator[tuple[pa.Table, list[range]]]:
    """Find the interactions that signals are about; in memory lie 40 bytes for each of them, and a batch.

    Args:
        signals: Rows in order of their `interaction_id`.
        interactions: Batches with the column `interaction_id`; each id is in one of them.

    Yields:
        Some interactions, and for each the range of rows in `signals` that are about it.
    """
    begin = np.flatnonzero(~_repeats(signals["interaction_id"]))
    end = np.append(begin[1:], signals.num_rows)
    known = _keys(signals["interaction_id"].take(pa.array(begin, pa.int64())))
    order = np.argsort(known)
    known, begin, end = known[order], begin[order], end[order]
    for batch in interactions if len(known) else ():
        keys = _keys(batch["interaction_id"])
        places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        there = known[places] == keys
        found, places = batch.filter(pa.array(there)), places[there]
        for start in range(0, found.num_rows, _ROWS):
            some = places[start : start + _ROWS]
            yield found.slice(start, _ROWS), list(map(range, begin[some].tolist(), end[some].tolist()))


def _keys(ids: pa.ChunkedArray) -> np.ndarray:
    """Digests of ids, shape (n,): two different ones have the same with probability 2^-128."""
    return np.frombuffer(b"".join(digest((name,)) for name in ids.to_pylist()), dtype=f"V{SIZE}")


def _repeats(column: pa.ChunkedArray) -> np.ndarray:
    """Whether each value is the one before it."""
    same = pc.equal(column[1:], column[:-1]).to_numpy().astype(bool)
    return np.insert(same, 0, False)[: len(column)]

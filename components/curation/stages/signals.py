"""Signals of the feedback table, joined to the interactions that they are about while the log streams by."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

COLUMNS = ["interaction_id", "subject", "timestamp", "feedback_id"]
_ROWS = 1024  # interactions at once


class LatestSignals:
    """The last signal of every user about every interaction; ties in time go to the higher id.

    Args:
        signals: Rows of one kind with `COLUMNS` and others.

    Attributes:
        signals: The last ones, ordered by interaction, then subject.
    """

    def __init__(self, signals: pa.Table) -> None:
        rows = signals.sort_by([(name, "ascending") for name in COLUMNS])
        again = _repeats(rows["interaction_id"]) & _repeats(rows["subject"])
        self.signals = rows.filter(pa.array(~np.append(again[1:], False)[: len(again)])).combine_chunks()

    def join(self, interactions: Iterable[pa.Table]) -> Iterator[tuple[pa.Table, list[range]]]:
        """Find the interactions with signals.

        Args:
            interactions: Batches with the column interaction_id; each id is in one of them.

        Yields:
            Some interactions, and for each the range of rows in `signals` that are about it.
        """
        begin = np.flatnonzero(~_repeats(self.signals["interaction_id"]))
        known = self.signals["interaction_id"].take(pa.array(begin, pa.int64())).combine_chunks()
        end = np.append(begin[1:], self.signals.num_rows)
        for batch in interactions:
            places = pc.index_in(batch["interaction_id"], known)
            found, places = batch.filter(pc.is_valid(places)), places.drop_null().to_numpy()
            for start in range(0, found.num_rows, _ROWS):
                some = places[start : start + _ROWS]
                yield found.slice(start, _ROWS), list(map(range, begin[some].tolist(), end[some].tolist()))


def _repeats(column: pa.ChunkedArray) -> np.ndarray:
    """Whether each value is the one before it."""
    same = pc.equal(column[1:], column[:-1]).to_numpy().astype(bool)
    return np.insert(same, 0, False)[: len(column)]

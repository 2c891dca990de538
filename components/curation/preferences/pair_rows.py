"""The pairs that were made, on disk: equal ones joined, none beyond a subject's share, in the order of the table."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice, pairwise
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.curation.guards.poison_guard import over_cap
from flywheel.components.curation.preferences.pair import RANK, SCHEMA, Pair
from flywheel.components.curation.preferences.spilled_records import SpilledRecords

_KEYS = pa.schema(
    [
        ("pair_id", pa.string()),
        ("rank", pa.int8()),
        ("weight", pa.float64()),
        ("evidence", pa.string()),
        ("candidate_id", pa.string()),
        ("group_id", pa.string()),
        ("subject", pa.string()),  # the only one behind it; null when there are more
        ("at", pa.timestamp("us", "UTC")),
    ]
)
_ROWS = 512
_EVER = datetime.max.replace(tzinfo=UTC)


class PairRows:
    """Pairs on disk; in memory lie about 200 bytes for each. Use it in a `with` statement: `add`, `settle`, then read.

    Attributes:
        duplicates: Pairs that were there already; their evidence is joined.
        over_share: Pairs beyond a subject's share.
    """

    def __init__(self) -> None:
        self._rows = SpilledRecords()
        self._waiting: list[dict[str, Any]] = []
        self._pieces = [_KEYS.empty_table()]
        self._members, self._begin, self._end = (np.zeros(0, dtype=np.int64) for _ in range(3))
        self._evidence: dict[str, int] = {}
        self.duplicates = self.over_share = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.__exit__()

    def add(self, pairs: Sequence[Pair]) -> None:
        """Add pairs; `settle` looks which are equal."""
        rows = [pair.to_row() for pair in pairs]
        self._rows.append(rows)
        for pair, row in zip(pairs, rows, strict=True):
            alone = row["subjects"][0] if len(row["subjects"]) == 1 else None
            key = {name: row[name] for name in ("pair_id", "weight", "evidence", "candidate_id", "group_id")}
            self._waiting.append(key | {"rank": RANK[pair.evidence], "subject": alone, "at": pair.at})
        if len(self._waiting) >= _ROWS:
            self._flush()

    def settle(self, max_share: float) -> Self:
        """Join equal pairs, and leave out what one subject alone stands behind beyond its share, the latest first.

        Of equal pairs the strongest evidence names the pair, and the others' evidence is joined to it.

        Args:
            max_share: Greatest share of the pairs that one subject alone may stand behind, in (0, 1].

        Raises:
            ValueError: `max_share` is out of range.
        """
        self._flush()
        self._rows.finish()
        keys = pa.concat_tables(self._pieces).combine_chunks()
        self._pieces = []
        first_is_strongest = [("rank", "descending"), ("weight", "descending"), ("candidate_id", "ascending")]
        self._members = pc.sort_indices(keys, [("pair_id", "ascending"), *first_is_strongest]).to_numpy()
        keys = keys.take(self._members)
        new = ~_repeats(keys, "pair_id")
        begin = np.flatnonzero(new)
        end = np.append(begin[1:], len(new))[: len(begin)]
        alone = _alone(keys["subject"], begin, end)
        keys = keys.take(begin).set_column(keys.schema.get_field_index("subject"), "subject", alone)
        self.duplicates = len(new) - len(begin)
        out = over_cap(_Supported(keys), max_share)
        self.over_share = len(out)
        kept = np.setdiff1d(np.arange(len(begin)), np.fromiter(out, dtype=np.int64))
        order = self._in_order(keys.take(kept), self._members[begin[kept]])
        self._begin, self._end = begin[kept][order], end[kept][order]
        counted = pc.value_counts(keys["evidence"].take(kept)).to_pylist()
        self._evidence = dict(sorted((one["values"], one["counts"]) for one in counted))
        return self

    def __len__(self) -> int:
        return len(self._begin)

    def evidence(self) -> dict[str, int]:
        """Pairs that stay, by evidence."""
        return self._evidence

    def tables(self) -> Iterator[pa.Table]:
        """The pairs that stay, some at a time, schema `pair.SCHEMA`, ordered by evidence, then content."""
        sizes = self._end - self._begin
        within = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        rows = self._rows.stream(self._members[np.repeat(self._begin, sizes) + within])
        for start in range(0, len(sizes), _ROWS):
            some = [_joined(list(islice(rows, size))) for size in sizes[start : start + _ROWS].tolist()]
            yield pa.Table.from_pylist(some, schema=SCHEMA)

    def _flush(self) -> None:
        self._pieces.append(pa.Table.from_pylist(self._waiting, schema=_KEYS))
        self._waiting = []

    def _in_order(self, keys: pa.Table, rows: np.ndarray) -> np.ndarray:
        """Places of the pairs by evidence, candidate, group; where these are equal by chosen, rejected and id."""
        names = ("evidence", "candidate_id", "group_id")
        order = np.array(pc.sort_indices(keys, [(name, "ascending") for name in names]))
        borders = [*np.flatnonzero(~_repeats(keys.take(order), *names)).tolist(), len(order)]
        for start, stop in pairwise(borders):
            if stop - start > 1:
                some = self._rows.stream(rows[order[start:stop]])
                texts = [(row["chosen"], row["rejected"], row["pair_id"]) for row in some]
                order[start:stop] = order[start + np.array(sorted(range(len(texts)), key=texts.__getitem__))]
        return order


class _Supported(Sequence[dict[str, Any]]):
    """Pairs as `over_cap` looks at them, made when it does."""

    def __init__(self, keys: pa.Table) -> None:
        self._keys = keys.select(["pair_id", "subject", "at"]).combine_chunks()

    def __len__(self) -> int:
        return int(self._keys.num_rows)

    def __getitem__(self, index: Any) -> Any:
        if index >= len(self):
            raise IndexError(index)
        key, subject, at = (column[index].as_py() for column in self._keys.columns)
        supporters = [subject] if subject is not None else [None, None]
        return {"supporters": supporters, "subject": subject, "timestamp": at or _EVER, "interaction_id": key}


def _joined(equal: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One row for equal pairs: the first with the evidence of all."""
    ids, subjects = ({one for row in equal for one in row[name]} for name in ("evidence_ids", "subjects"))
    return equal[0] | {"evidence_ids": sorted(ids), "support": len(subjects)}


def _alone(subjects: pa.ChunkedArray, begin: np.ndarray, end: np.ndarray) -> pa.Array:
    """For every run of rows the one subject behind all of them; null when there are more."""
    if not len(begin):
        return pa.nulls(0, pa.string())
    numbers = subjects.combine_chunks().dictionary_encode()
    codes = numbers.indices.fill_null(-1).to_numpy()
    least, most = np.minimum.reduceat(codes, begin), np.maximum.reduceat(codes, begin)
    return numbers.dictionary.take(pa.array(least, mask=(least != most) | (least < 0)))


def _repeats(rows: pa.Table, *names: str) -> np.ndarray:
    """Whether each row has the values of the one before it."""
    same = [pc.equal(rows[name][1:], rows[name][:-1]).to_numpy() for name in names]
    return np.insert(np.logical_and.reduce(same), 0, False)[: rows.num_rows].astype(bool)

"""The candidates of a run on their way into the store: short columns in memory, texts on disk until all are known."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.curation.duplicates.spilled_texts import SpilledTexts
from flywheel.components.store import delta_table, streamed_append
from flywheel.components.store.tables import SCHEMAS, row_id

_TABLE = SCHEMAS["candidates"]
_TEXTS = ("messages", "prompt", "response", "correction")
_LATER = ("run_id", "cluster_id", "cluster_name")
_SHORT = [name for name in _TABLE.names if name not in (*_TEXTS, *_LATER)]
_AT_ONCE = 512  # rows


class Candidates:
    """Rows of the table `candidates` of one run; use it in a `with` statement.

    Args:
        run_id: The run.
    """

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._texts = {name: SpilledTexts() for name in _TEXTS}
        self._batches: list[pa.RecordBatch] = []
        self._short = pa.schema([_TABLE.field(name) for name in _SHORT]).empty_table()
        self._corrected = np.zeros(0, np.uint64)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for texts in self._texts.values():
            texts.__exit__(*error)

    def add(self, batch: pa.RecordBatch) -> None:
        """Put rows of the file of `route` behind those that are there; not possible once `finish` was called."""
        for name, texts in self._texts.items():
            texts.append(batch[name].to_pylist())
        self._batches.append(batch.select(_SHORT).cast(self._short.schema))

    def finish(self) -> Self:
        """End the writing."""
        for texts in self._texts.values():
            texts.finish()
        self._short = pa.Table.from_batches(self._batches, self._short.schema).combine_chunks()
        self._batches = []
        self._corrected = np.sort(_numbers(self._short["interaction_id"].to_pylist()))
        return self

    def correct(self, interactions: Sequence[str]) -> np.ndarray:
        """Whether a candidate corrects each of the interactions, bool (n,); wrongly with probability 2^-64."""
        if not len(self._corrected):
            return np.zeros(len(interactions), bool)
        looked = _numbers(interactions)
        places = np.minimum(np.searchsorted(self._corrected, looked), len(self._corrected) - 1)
        return np.asarray(self._corrected[places] == looked)

    @property
    def accepted(self) -> int:
        """Number of accepted candidates."""
        return int(pc.sum(pc.equal(self._short["route"], "accept")).as_py() or 0)

    def append_to(self, store: str, homes: Sequence[tuple[str, str]], placed: Sequence[int]) -> delta_table.Appended:
        """Append the candidates once; a run that was curated before must have come to the same result.

        Args:
            store: URI of the feedback store.
            homes: Id and name of each cluster.
            placed: Cluster of each candidate that is not discarded, in the order in which they were added.

        Raises:
            ValueError: The store holds other candidates of this run.
        """
        order = pc.sort_indices(self._short["candidate_id"]).to_numpy()
        home = np.full(len(order), len(homes))
        kept = np.flatnonzero(pc.not_equal(self._short["route"], "discard").to_numpy())
        home[kept] = placed[: len(kept)]
        named = [*homes, ("", "")]

        def rows() -> Iterator[pa.RecordBatch]:
            for start in range(0, len(order), _AT_ONCE):
                some = order[start : start + _AT_ONCE]
                short = self._short.take(pa.array(some)).combine_chunks()
                columns: dict[str, pa.Array] = {name: short[name].combine_chunks() for name in _SHORT}
                columns |= {name: pa.array(texts.read(some), pa.string()) for name, texts in self._texts.items()}
                columns["run_id"] = pa.array([self._run_id] * len(some), pa.string())
                for place, name in enumerate(("cluster_id", "cluster_name")):
                    columns[name] = pa.array([named[number][place] for number in home[some].tolist()], pa.string())
                yield pa.RecordBatch.from_arrays([columns[name] for name in _TABLE.names], schema=_TABLE)

        mine = sorted(digest for batch in rows() for digest in _digests(batch))
        ids = self._short["candidate_id"].take(pa.array(order)).combine_chunks()
        content = row_id(self._run_id, hashlib.blake2b(b"".join(mine), digest_size=16).hexdigest())
        written = streamed_append.append(store, "candidates", ids, rows, batch=f"candidates-{content}")
        if written.already_there and sorted(self._stored(written)) != mine:
            raise ValueError(
                f"run {self._run_id} was curated before with another result, and the store keeps what it holds; "
                "use a new run id to curate with other data or settings"
            )
        return written

    def _stored(self, written: delta_table.Appended) -> Iterator[bytes]:
        """Digests of the rows of this run that the store holds."""
        for batch in delta_table.batches(written.reference):
            yield from _digests(batch.filter(pc.equal(batch["run_id"], self._run_id)))


def _numbers(texts: Sequence[str]) -> np.ndarray:
    """Eight bytes of each text, as a number."""
    made = b"".join(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts)
    return np.frombuffer(made, np.uint64)


def _digests(batch: pa.RecordBatch) -> Iterator[bytes]:
    """Sixteen bytes of each row."""
    for row in zip(*(batch[name].to_pylist() for name in _TABLE.names), strict=True):
        yield hashlib.blake2b(orjson.dumps(row), digest_size=16).digest()

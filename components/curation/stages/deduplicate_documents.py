"""Group the duplicates of any records, and keep one of each group."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.curation.duplicates import document_groups
from flywheel.components.curation.duplicates.document_groups import KINDS
from flywheel.components.curation.duplicates.shingles import WORDS
from flywheel.components.curation.duplicates.spilled_texts import SpilledTexts
from flywheel.components.curation.stages.record_file import RecordFile
from flywheel.components.curation.stages.records import record
from flywheel.components.store.tables import row_id

GROUPS_SCHEMA = pa.schema(
    [
        ("row", pa.int64()),  # number of the record in the input, from 0
        ("group_id", pa.string()),
        ("duplicate_of", pa.int64()),  # row that stayed; its own number in that row itself
        ("kind", pa.string()),  # exact, near or semantic; "" in the row that stayed
    ]
)
_ROWS = 16_384  # written at once


def deduplicate_documents(
    records: str,
    kept: str,
    groups: str,
    run_id: str,
    text: str = "text",
    first_by: str = "",
    jaccard: float = 0.8,
    words: int = WORDS,
    semantic: float = 0.0,
    encoder: str = "hashed",
) -> StepRecord:
    """Group the duplicates of any records, and keep one of each group.

    Nothing of the records stays in memory but numbers, about 200 bytes for each (with `first_by` its column besides):
    the texts lie in a temporary file as large as they are, the other columns stream from file to file. Only semantic
    duplicates hold the texts in memory.

    Args:
        records: Path of a Parquet file or of JSON lines.
        kept: Path of the Parquet file to write: the records that stay, in their order, with `group_id`.
        groups: Path of the Parquet file to write: `GROUPS_SCHEMA` for every record.
        run_id: Run.
        text: Column to compare; several, joined by commas, are compared as one text.
        first_by: Column whose smallest value stays, such as a timestamp; "" or equal values: the first record.
        jaccard: Least Jaccard similarity of the sets of word shingles, in (0, 1].
        words: Words of a shingle, at least 1.
        semantic: Least cosine of semantic duplicates, in (0, 1]; 0: none are looked for.
        encoder: Name of the encoder for them (`encoders.encoder`).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read, a column is missing or is no text, or a parameter is out of range.
    """
    started = datetime.now(UTC)
    names = [name.strip() for name in text.split(",")]
    source = _opened(records, names, first_by)
    with SpilledTexts() as texts:
        ids = _read(source, names, texts)
        order = None
        if first_by and len(ids):
            column = pa.Table.from_batches(list(source.batches([first_by])))[first_by]
            order = pc.sort_indices(column.combine_chunks()).to_numpy()
        found = document_groups.groups(texts.finish(order), jaccard, words, semantic, encoder)
    labels, stays, kinds = found.labels, found.survivors, found.kinds()
    if order is not None:
        labels, kinds, stays = np.empty_like(labels), np.empty_like(kinds), order[stays].astype(np.int64)
        labels[order], kinds[order] = found.labels, found.kinds()
    names_of_groups = _names(ids, labels)
    _write(_membership(labels, stays, kinds, names_of_groups), GROUPS_SCHEMA, Path(groups))
    stay = np.zeros(len(labels), dtype=bool)
    stay[stays] = True
    schema = source.schema.append(pa.field("group_id", pa.string()))
    _write(_kept(source, stay, labels, names_of_groups), schema, Path(kept))
    counts = {kind: int((kinds == place).sum()) for place, kind in enumerate(KINDS) if kind}
    return record(
        "deduplicate_documents",
        run_id,
        started,
        RowCounts(rows_in=len(labels), accepted=len(stays), duplicates=sum(counts.values())),
        counts | {"groups": len(stays)},
        counts
        | {
            "jaccard": jaccard,
            "words": words,
            "semantic": semantic,
            "error_rate": "exact and near duplicates are verified; a pair at the threshold is missed with probability "
            "below 1e-8",
        },
    )


def _opened(path: str, texts: list[str], first_by: str) -> RecordFile:
    source = RecordFile(path)
    missing = [name for name in (*texts, *filter(None, [first_by])) if name not in source.schema.names]
    if missing:
        have = ", ".join(source.schema.names) or "none"
        raise ValueError(f"{path} has no column {', '.join(missing)}; its columns are {have}")
    if "group_id" in source.schema.names:
        raise ValueError(f"{path} has a column group_id already; rename it, this step writes one")
    for name in texts:
        kind = source.schema.field(name).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise ValueError(f"column {name} of {path} is {kind}; duplicates are told by text columns")
    return source


def _read(source: RecordFile, names: list[str], spilled: SpilledTexts) -> np.ndarray:
    """Bring the texts to where they are read again; returns their ids (`row_id`), shape (n, 2), uint64."""
    ids = [np.zeros((0, 2), dtype=np.uint64)]
    for batch in source.batches(names):
        columns = [pc.fill_null(column, "").to_pylist() for column in batch.columns]
        texts = columns[0] if len(columns) == 1 else ["\n".join(row) for row in zip(*columns, strict=True)]
        spilled.append(texts)
        digests = bytes.fromhex("".join(row_id("document", text) for text in texts))
        ids.append(np.frombuffer(digests, dtype=">u8").reshape(-1, 2).astype(np.uint64))
    return np.concatenate(ids)


def _names(ids: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Group ids from content: a group is named after its smallest text id, so that the order does not matter.

    Returns:
        The id of each group, shape (g, 2), uint64.
    """
    order = np.lexsort((ids[:, 1], ids[:, 0], labels))
    return ids[order[np.flatnonzero(np.diff(labels[order], prepend=-1))]]


def _written(ids: np.ndarray) -> pa.Array:
    """Ids in hexadecimal digits."""
    digits = ids.astype(">u8").tobytes().hex().encode()
    return pa.array(np.frombuffer(digits, dtype="S32")).cast(pa.string())


def _membership(labels: np.ndarray, stays: np.ndarray, kinds: np.ndarray, names: np.ndarray) -> Iterator[pa.Table]:
    for start in range(0, max(1, len(labels)), _ROWS):
        here = labels[start : start + _ROWS]
        columns = [
            pa.array(np.arange(start, start + len(here))),
            _written(names[here]),
            pa.array(stays[here]),
            pa.array([KINDS[kind] for kind in kinds[start : start + _ROWS].tolist()], pa.string()),
        ]
        yield pa.table(columns, schema=GROUPS_SCHEMA)


def _kept(source: RecordFile, stay: np.ndarray, labels: np.ndarray, names: np.ndarray) -> Iterator[pa.Table]:
    """The records that stay, with their group: as many at a time as fill a part of the file."""
    done, waiting, rows = 0, [], 0
    for batch in source.batches():
        here = slice(done, done + batch.num_rows)
        done += batch.num_rows
        kept = pa.Table.from_batches([batch]).append_column("group_id", _written(names[labels[here]]))
        waiting.append(kept.filter(pa.array(stay[here])))
        rows += waiting[-1].num_rows
        if rows >= _ROWS:
            yield pa.concat_tables(waiting)
            waiting, rows = [], 0
    if waiting:
        yield pa.concat_tables(waiting)


def _write(tables: Iterator[pa.Table], schema: pa.Schema, target: Path) -> None:
    """Write a Parquet file, so that a reader sees no file or the whole file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.new")
    with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table, row_group_size=_ROWS)
    temporary.replace(target)

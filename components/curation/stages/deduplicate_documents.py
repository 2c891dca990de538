"""Group the duplicates of any records, and keep one of each group."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.json as pa_json
import pyarrow.parquet as pq

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.curation.duplicates import document_groups
from flywheel.components.curation.duplicates.shingles import WORDS
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
_LONGEST = 1 << 26  # bytes of JSON read at once; no record may be longer


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

    Only the texts are held in memory; the other columns stream from file to file.

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
    source = _opened(records, [*names, *filter(None, [first_by])])
    texts = _texts(source, names, records)
    order = np.arange(len(texts))
    if first_by and len(texts):
        order = pc.sort_indices(source.to_table(columns=[first_by])[first_by].combine_chunks()).to_numpy()
    found = document_groups.groups([texts[row] for row in order.tolist()], jaccard, words, semantic, encoder)
    labels, stays, kinds = np.empty_like(order), order[found.survivors], np.empty(len(order), dtype="<U8")
    labels[order], kinds[order] = found.labels, found.kinds()
    of_row = _names(texts, labels)
    target = Path(groups)
    target.parent.mkdir(parents=True, exist_ok=True)
    columns = [pa.array(np.arange(len(texts))), of_row, pa.array(stays[labels]), pa.array(kinds.tolist(), pa.string())]
    _write(iter([pa.table(columns, schema=GROUPS_SCHEMA)]), GROUPS_SCHEMA, target)
    stay = np.zeros(len(texts), dtype=bool)
    stay[stays] = True
    schema = source.schema.append(pa.field("group_id", pa.string()))
    _write(_kept(source, stay, of_row, records), schema, Path(kept))
    counts = {kind: int((kinds == kind).sum()) for kind in ("exact", "near", "semantic")}
    return record(
        "deduplicate_documents",
        run_id,
        started,
        RowCounts(rows_in=len(texts), accepted=len(stays), duplicates=sum(counts.values())),
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


def _names(texts: Sequence[str], labels: np.ndarray) -> pa.Array:
    """Group ids from content: a group is named after its smallest text id, so that the order does not matter."""
    ids = pa.array([row_id("document", text) for text in texts], pa.string())
    smallest = pa.table({"label": labels, "id": ids}).group_by("label").aggregate([("id", "min")]).sort_by("label")
    return smallest["id_min"].combine_chunks().take(pa.array(labels))


def _opened(path: str, columns: list[str]) -> ds.Dataset:
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file of records {path}")
    with Path(path).open("rb") as file:
        parquet = file.read(4) == b"PAR1"
    lines = ds.JsonFileFormat(read_options=pa_json.ReadOptions(block_size=_LONGEST))
    try:
        source = ds.dataset(path, format="parquet" if parquet else lines)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} is neither Parquet nor JSON lines: {error}") from error
    missing = [name for name in columns if name not in source.schema.names]
    if missing:
        have = ", ".join(source.schema.names) or "none"
        raise ValueError(f"{path} has no column {', '.join(missing)}; its columns are {have}")
    if "group_id" in source.schema.names:
        raise ValueError(f"{path} has a column group_id already; rename it, this step writes one")
    return source


def _texts(source: ds.Dataset, names: list[str], path: str) -> list[str]:
    texts: list[str] = []
    for name in names:
        kind = source.schema.field(name).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise ValueError(f"column {name} of {path} is {kind}; duplicates are told by text columns")
    for batch in _batches(source, names, path):
        columns = [pc.fill_null(batch[name], "").to_pylist() for name in names]
        texts.extend(columns[0] if len(names) == 1 else map("\n".join, zip(*columns, strict=True)))
    return texts


def _batches(source: ds.Dataset, names: list[str], path: str) -> Iterator[pa.RecordBatch]:
    try:
        yield from source.to_batches(columns=names)
    except pa.ArrowInvalid as error:
        raise ValueError(
            f"{path} cannot be read to its end: {error}; a column of JSON lines has one type throughout, and a record "
            f"is at most {_LONGEST >> 20} MiB long; Parquet has neither limit"
        ) from error


def _kept(source: ds.Dataset, stay: np.ndarray, group: pa.Array, path: str) -> Iterator[pa.Table]:
    done = 0
    for batch in _batches(source, source.schema.names, path):
        chosen = slice(done, done + batch.num_rows)
        table = pa.Table.from_batches([batch]).append_column("group_id", group[chosen])
        yield table.filter(pa.array(stay[chosen]))
        done += batch.num_rows


def _write(tables: Iterator[pa.Table], schema: pa.Schema, target: Path) -> None:
    """Write a Parquet file, so that a reader sees no file or the whole file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.new")
    with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table, row_group_size=_ROWS)
    temporary.replace(target)

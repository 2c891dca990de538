"""Rows between two stages: Parquet files.

What a later stage needs besides rows (the feedback snapshot, the calibration) travels in the file's schema metadata, so
that a stage can run again alone.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_KEY = b"flywheel.curation"


def write(table: pa.Table, path: str, notes: dict[str, Any]) -> None:
    """Write a Parquet file with notes, so that a reader sees no file or the whole file."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(handle)
    pq.write_table(table.replace_schema_metadata({_KEY: json.dumps(notes).encode()}), temporary)
    Path(temporary).replace(target)


def read(path: str, *needed: str) -> tuple[pa.Table, dict[str, Any]]:
    """Read a file of the stage before and its notes.

    Args:
        path: Parquet file.
        needed: Names of notes that must be there, besides `snapshot` and `median_activity`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not one of the stage before.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist; run the curation step before this one first")
    try:
        table = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path} is not a Parquet file of curation: {error}") from error
    notes = json.loads((table.schema.metadata or {}).get(_KEY, b"{}"))
    missing = [name for name in ("snapshot", "median_activity", *needed) if name not in notes]
    if missing:
        raise ValueError(f"{path} was not written by the curation step before this one: it lacks {', '.join(missing)}")
    return table, notes

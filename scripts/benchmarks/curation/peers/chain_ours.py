"""Ours: scrub, group, keep the first of each group, Parquet."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse.csgraph  # noqa: F401 - an import, not work

from flywheel.components.curation.duplicates import document_groups
from flywheel.components.intake.privacy.scrub import scrub_texts

BATCH = 2000


def prepare(data: Path) -> None:
    """Compile the patterns."""
    scrub_texts(["compile: someone@example.org, 192.0.2.1, call +1 202 555 0100"])


def run(data: Path, out: Path) -> dict[str, Any]:
    """Read, scrub, group, write."""
    with (data / "records.jsonl").open("rb") as lines:
        records = [orjson.loads(line) for line in lines]
    texts: list[str] = []
    for start in range(0, len(records), BATCH):
        texts.extend(scrub_texts([record["text"] for record in records[start : start + BATCH]]).texts)
    found = document_groups.groups(texts, 0.8)
    table = pa.table({"id": [record["id"] for record in records], "text": texts, "group": found.labels})
    stay = np.zeros(len(texts), dtype=bool)
    stay[found.survivors] = True
    pq.write_table(table.filter(pa.array(stay)), out / "kept.parquet", compression="zstd")
    return {"kept": len(found.survivors)}

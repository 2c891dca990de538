"""Ours: exact and near duplicates with verification."""

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import scipy.sparse.csgraph  # noqa: F401 - an import, not work

from flywheel.components.curation.duplicates import document_groups


def run(data: Path, out: Path) -> dict[str, Any]:
    """Group the records."""
    with (data / "records.jsonl").open("rb") as lines:
        texts = [orjson.loads(line)["text"] for line in lines]
    found = document_groups.groups(texts, 0.8)
    np.save(out / "labels.npy", found.labels)
    return {"groups": len(found.survivors), "edges": len(found.edges.left)}

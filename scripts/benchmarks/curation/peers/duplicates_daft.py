"""Daft: its MinHash expression, bands and groups by Daft, components by SciPy; no verification."""

from pathlib import Path
from typing import Any

import daft
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def run(data: Path, out: Path) -> dict[str, Any]:
    """Group the records."""
    frame = daft.read_json(str(data / "records.jsonl"))
    frame = frame.select(
        daft.col("id"),
        daft.col("text")
        .normalize(remove_punct=True, lowercase=True, nfd_unicode=False, white_space=True)
        .minhash(num_hashes=128, ngram_size=5, seed=1, hash_function="xxhash"),
    )
    found = frame.to_arrow()
    rows = np.array([int(name[1:]) for name in found["id"].to_pylist()])
    sketch = found["text"].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(len(rows), 128)
    left, right = [], []
    for band in range(16):
        block = np.ascontiguousarray(sketch[:, band * 8 : band * 8 + 8]).view("V32").ravel()
        first: dict[bytes, int] = {}
        heads = [first.setdefault(key, row) for key, row in zip(block.tolist(), rows.tolist(), strict=True)]
        left.append(rows)
        right.append(np.array(heads))
    a, b = np.concatenate(left), np.concatenate(right)
    graph = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(len(rows), len(rows)))
    labels = connected_components(graph, directed=False)[1]
    np.save(out / "labels.npy", labels)
    return {"groups": int(labels.max() + 1)}

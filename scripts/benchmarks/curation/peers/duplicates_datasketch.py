"""datasketch: MinHash by `update_batch`, LSH, connected components of the candidates; as its documentation shows."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from datasketch import MinHash, MinHashLSH

WORD = re.compile(r"\w+")


def run(data: Path, out: Path) -> dict[str, Any]:
    """Group the records."""
    with (data / "records.jsonl").open("rb") as lines:
        texts = [orjson.loads(line)["text"] for line in lines]
    index = MinHashLSH(num_perm=128, params=(16, 8))
    parent = list(range(len(texts)))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for number, text in enumerate(texts):
        words = WORD.findall(text.lower())
        sketch = MinHash(num_perm=128)
        sketch.update_batch([" ".join(words[i : i + 5]).encode() for i in range(max(1, len(words) - 4))])
        for other in index.query(sketch):
            parent[root(number)] = root(other)
        index.insert(number, sketch)
    labels = np.array([root(number) for number in range(len(texts))])
    np.save(out / "labels.npy", labels)
    return {"groups": len(set(labels.tolist()))}

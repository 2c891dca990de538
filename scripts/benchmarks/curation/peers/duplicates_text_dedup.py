"""text-dedup: its MinHash command in this process, two workers, its union-find read back."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from text_dedup.minhash import main as command


def run(data: Path, out: Path) -> dict[str, Any]:
    """Group the records."""
    result = out / "result"
    command.main(
        args=[
            *("--path", "json", "--data_files", str(data / "records.jsonl"), "--split", "train"),
            *("--cache_dir", str(out / "cache"), "--output", str(result), "--column", "text"),
            *("--num_proc", "2", "--ngram", "5", "--min_length", "0", "--num_perm", "128", "--b", "16", "--r", "8"),
            *("--batch_size", "10000", "--debug"),
        ],
        standalone_mode=False,
    )
    with (result / "uf.pkl").open("rb") as file:
        found = pickle.load(file)  # noqa: S301 - what this very process wrote
    with (data / "records.jsonl").open("rb") as lines:
        rows = sum(1 for _ in lines)
    labels = np.array([found.find(row) for row in range(rows)])
    np.save(out / "labels.npy", labels)
    return {"groups": len(set(labels.tolist()))}

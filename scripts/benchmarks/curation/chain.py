"""Stage `chain`: JSON lines, personal data out, near-duplicates out, Parquet; three ways from end to end."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from flywheel.scripts.benchmarks.curation import duplicates, duplicates_truth
from flywheel.scripts.benchmarks.curation.frame import OURS, Peer, Stage, at_least, faster

PRESIDIO, PATTERNS = "Presidio + text-dedup + HF map", "re + datasketch + HF map"
_PRESIDIO = ("presidio-analyzer==2.2.366", "presidio-anonymizer==2.2.366", "spacy>=3.8,<4", "text-dedup==0.4.0")


def peers() -> list[Peer]:
    """Ours and two chains of libraries; each writes `kept.parquet` with id and text."""
    return [
        Peer(OURS, "chain_ours.py", versions=("google-re2", "numpy", "pyarrow", "scipy")),
        Peer(PATTERNS, "chain_patterns.py", ("datasketch==2.0.0", "datasets>=4,<6")),
        Peer(
            PRESIDIO,
            "chain_presidio.py",
            _PRESIDIO,
            rows=5_000,
            versions=("presidio-analyzer", "presidio-anonymizer", "spacy", "text-dedup", "datasets"),
        ),
    ]


def quality(data: Path, out: Path, _: Mapping[str, Any]) -> dict[str, float]:
    """What of the personal data is gone from the file, and what of the duplicates.

    Args:
        data: Folder of records, truth and exact pairs.
        out: Folder with `kept.parquet`.

    Returns:
        `data removed`: share of the values that are nowhere in their kept record. `pairs thinned`: share of the pairs
        at Jaccard 0.8 or more of which at most one record is kept. `rightly dropped`: share of the dropped records that
        have a neighbour at 0.7 or more.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(out / "kept.parquet", columns=["id", "text"])
    kept = dict(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True))
    names, values, gone = [], 0, 0
    with (data / "records.jsonl").open(encoding="utf-8") as records, (data / "truth.jsonl").open() as truths:
        for line, true in zip(records, truths, strict=True):
            record = json.loads(line)
            names.append(record["id"])
            if record["id"] not in kept:
                continue
            for _kind, start, end in json.loads(true)["personal"]:
                values += 1
                gone += record["text"][start:end] not in kept[record["id"]]
    stays = np.array([name in kept for name in names])
    pairs = np.load(data / "pairs.npy")
    left, right = pairs[:, 0].astype(int), pairs[:, 1].astype(int)
    near = pairs[:, 2] >= 0.8
    neighbour = np.zeros(len(names), dtype=bool)
    neighbour[np.concatenate([left, right])] = True
    dropped = ~stays
    return {
        "data removed": gone / max(values, 1),
        "pairs thinned": float(np.mean(~(stays[left[near]] & stays[right[near]]))) if near.any() else 1.0,
        "rightly dropped": float(np.mean(neighbour[dropped])) if dropped.any() else 1.0,
    }


STAGE = Stage(
    name="chain",
    title="The whole chain",
    rows=20_000,
    prepare=duplicates.prepare,
    quality=quality,
    goals=(faster(PRESIDIO, 25), faster(PATTERNS, 6), at_least("pairs thinned", 0.995)),
    about=(
        "The records of *Near-duplicates*, fewer of them (Presidio's chain on 5,000, because it is slow): read JSON "
        "lines, remove personal data, remove near-duplicates, write Parquet. Presidio runs six pattern recognizers on "
        "a blank model and its anonymizer, `re` six plain patterns with the Luhn check; ours looks for thirteen "
        "kinds. HF map runs in two processes. *data removed*: share of the values made by Faker that are not in the "
        "kept record; *pairs thinned*: share of the pairs at Jaccard 0.8 or more of which at most one record stays; "
        "*rightly dropped*: share of the dropped records with a neighbour at 0.7 or more."
    ),
    source=(Path(duplicates_truth.__file__),),
)

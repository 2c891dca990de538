"""Stage `duplicates`: groups of near-duplicates at Jaccard 0.8 of word 5-grams, verified exactly."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from flywheel.scripts.benchmarks.curation import duplicates_truth, feedback_records
from flywheel.scripts.benchmarks.curation.frame import OURS, Peer, Stage, at_least, faster

DATASKETCH, TEXT_DEDUP = "datasketch update_batch", "text-dedup"


def peers() -> list[Peer]:
    """Ours and the libraries; all read the same JSON lines and write a group for every record."""
    return [
        Peer(OURS, "duplicates_ours.py", versions=("numpy", "scipy")),
        Peer(DATASKETCH, "duplicates_datasketch.py", ("datasketch==2.0.0", "orjson")),
        Peer(TEXT_DEDUP, "duplicates_text_dedup.py", ("text-dedup==0.4.0",)),
        Peer("Daft minhash, no verification", "duplicates_daft.py", ("daft==0.7.26", "orjson", "scipy")),
    ]


def prepare(folder: Path, rows: int) -> int:
    """Records with copies, and the exact pairs."""
    size = feedback_records.write(folder, rows)
    duplicates_truth.write(folder)
    return size


def quality(data: Path, out: Path, _: Mapping[str, Any]) -> dict[str, float]:
    """Against the exact oracle."""
    return duplicates_truth.quality(data, np.load(out / "labels.npy"))


STAGE = Stage(
    name="duplicates",
    title="Near-duplicates",
    rows=50_000,
    prepare=prepare,
    quality=quality,
    goals=(
        faster(DATASKETCH, 12, least=5),
        faster(TEXT_DEDUP, 30, least=14),
        at_least("recall", 0.995),
        at_least("precision", 0.99),
    ),
    about=(
        "Generated feedback: 10 % of the records are copies with edits of ten kinds, 3 % exact copies, a third has "
        "boilerplate. From JSON lines to a group for every record, reading included; ours with exact verification. The "
        "libraries use 128 permutations in 16 bands of 8 rows. *recall*: pairs at Jaccard 0.8 or more of word 5-grams, "
        "by an exact oracle, that are in one group; *precision*: pairs in one group that the oracle's pairs connect; "
        "*precision .7*: that pairs at 0.7 or more connect."
    ),
    source=(Path(duplicates_truth.__file__),),
)

"""Stage `store`: JSON lines of feedback records into tables, against HF datasets' map doing the same."""

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flywheel.scripts.benchmarks.curation import feedback_records
from flywheel.scripts.benchmarks.curation.frame import OURS, Peer, Stage, at_least, faster

SCRUBBED, MAP, BATCHED = "ours, scrubbed", "HF map", "HF map, batched"
MAP_SCRUBBED = "HF map, batched, our scrubbing"
_DATASETS = ("datasets>=5,<6", "pydantic>=2.7,<3")
_KEY = {"FLYWHEEL_PSEUDONYM_KEY": "0123456789abcdef0123456789abcdef"}


def peers() -> list[Peer]:
    """Ours and HF map, both without scrubbing, then both with it."""
    ours = ("deltalake", "pyarrow", "orjson")
    return [
        Peer(OURS, "store_ours.py", settings=_KEY | {"BENCH_SCRUB": "0"}, versions=ours),
        Peer(SCRUBBED, "store_ours.py", settings=_KEY | {"BENCH_SCRUB": "1"}, versions=ours),
        Peer(MAP, "store_hf_map.py", _DATASETS, settings={"BENCH_BATCHED": "0"}),
        Peer(BATCHED, "store_hf_map.py", _DATASETS, settings={"BENCH_BATCHED": "1"}),
        Peer(MAP_SCRUBBED, "store_hf_map.py", settings={"BENCH_BATCHED": "1", "BENCH_SCRUB": "1"}),
    ]


def prepare(folder: Path, rows: int) -> int:
    """Make feedback records of generated texts: one question and answer, a quarter corrected, half rated.

    Args:
        folder: Folder.
        rows: Records.

    Returns:
        Bytes of `feedback.jsonl`.
    """
    feedback_records.write(folder, rows)
    dice = random.Random(rows)
    with (
        (folder / "records.jsonl").open(encoding="utf-8") as texts,
        (folder / "feedback.jsonl").open("w", encoding="utf-8") as log,
    ):
        for number, line in enumerate(texts):
            text = json.loads(line)["text"]
            half = len(text) // 3
            signals: dict[str, Any] = {}
            if dice.random() < 0.5:
                signals["rating"] = dice.choice((-1, 1))
            if dice.random() < 0.25:
                signals["correction"] = text[half : 2 * half]
            if dice.random() < 0.5:
                signals["latency_ms"] = round(dice.random() * 1000, 3)
            record = {
                "schema": "flywheel.feedback/v1",
                "interaction": f"i-{number:08d}",
                "conversation": f"c-{number // 2:08d}",
                "user": f"user-{dice.randrange(rows // 8 + 1)}",
                "timestamp": f"2026-{1 + number % 9:02d}-{1 + number % 28:02d}T{number % 24:02d}:30:00+00:00",
                "model_version": "support-7b-3",
                "messages": [{"role": "user", "content": text[:half]}],
                "response": text[half:],
                "signals": signals,
                "language": "en",
                "attributes": {"channel": dice.choice(("web", "app"))},
            }
            log.write(json.dumps(record) + "\n")
    (folder / "records.jsonl").unlink()
    return (folder / "feedback.jsonl").stat().st_size


def quality(data: Path, _out: Path, result: Mapping[str, Any]) -> dict[str, float]:
    """Share of the records, and of the signals, that reached the tables."""
    records = signals = 0
    with (data / "feedback.jsonl").open(encoding="utf-8") as log:
        for line in log:
            records += 1
            signals += len(json.loads(line)["signals"])
    return {"records": result["interactions"] / records, "signals": result["signals"] / signals}


STAGE = Stage(
    name="store",
    title="JSON lines into the store",
    rows=50_000,
    prepare=prepare,
    quality=quality,
    goals=(
        faster(MAP, 4),
        faster(MAP_SCRUBBED, 1, ours=SCRUBBED),
        at_least("records", 1.0),
        at_least("signals", 1.0),
    ),
    about=(
        "Feedback records as JSON lines become rows of tables. The work of every peer: parse, validate every field, "
        "keyed BLAKE2b ids of user, content and each signal, messages and attributes as JSON, Parquet. HF map writes "
        "one Parquet file with the signals in their interaction's row; ours besides looks up what is there already, "
        "keeps where each row came from, and commits two Delta tables batch by batch. *ours* and the first two HF rows "
        "leave scrubbing out, the other two have the same scrubbing function in it."
    ),
)

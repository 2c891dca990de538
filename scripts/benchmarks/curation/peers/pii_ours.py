"""Ours: all kinds, batches of records."""

from pathlib import Path
from typing import Any

import orjson

from flywheel.components.intake.privacy.scrub import scrub_texts

BATCH = 5000


def prepare(data: Path) -> None:
    """Compile the patterns."""
    scrub_texts(["compile: someone@example.org, 192.0.2.1, call +1 202 555 0100, I live at 12 Main Street. I'm Ann."])


def run(data: Path, out: Path) -> dict[str, Any]:
    """Read, scrub, write."""
    found = 0
    with (data / "records.jsonl").open("rb") as lines:
        records = [orjson.loads(line) for line in lines]
    with (out / "scrubbed.jsonl").open("wb") as file:
        for start in range(0, len(records), BATCH):
            batch = records[start : start + BATCH]
            done = scrub_texts([record["text"] for record in batch])
            found += done.counts.total()
            file.writelines(
                orjson.dumps({"id": record["id"], "text": text}, option=orjson.OPT_APPEND_NEWLINE)
                for record, text in zip(batch, done.texts, strict=True)
            )
    return {"found": found}

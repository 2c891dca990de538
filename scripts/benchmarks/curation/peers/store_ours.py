"""Ours: intake of a log into a new store. BENCH_SCRUB=0 leaves scrubbing out, which no setting of the product can."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import daft.runners.native_runner  # noqa: F401 - an import, not work, as the next one
import pandas  # noqa: F401 - by pyarrow; HF datasets imports it, too

from flywheel.components.intake import batch_writer, given_ids, ingest
from flywheel.components.intake.privacy.scrub import ScrubResult, scrub_texts
from flywheel.components.store import delta_table


def prepare(data: Path) -> None:
    """Compile the patterns, or take scrubbing out."""
    scrub_texts(["compile: someone@example.org, 192.0.2.1, call +1 202 555 0100"])
    if os.environ["BENCH_SCRUB"] == "0":

        def untouched(texts: Any, *_: Any, **__: Any) -> ScrubResult:
            return ScrubResult(list(texts), Counter())

        batch_writer.scrub_on = lambda engine, texts, groups, keys: untouched(texts)
        batch_writer.scrub_texts = given_ids.scrub_texts = untouched


def run(data: Path, out: Path) -> dict[str, Any]:
    """Bring the log into a store."""
    summary = ingest.ingest(str(data / "feedback.jsonl"), str(out / "store"), "bench")
    summary.record("bench")
    snapshot = summary.snapshot
    return {"interactions": delta_table.count(snapshot.interactions), "signals": delta_table.count(snapshot.feedback)}

"""The loop of intake: read in batches, refuse what is bad, leave out what is there, scrub, write.

Memory is bounded by the batch (rows and bytes), not by the log. Whatever is killed and repeated ends in the same
tables: ids come from content under the store's key, and every write is an idempotent append.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from flywheel.components.intake import ratings, sources, timestamps
from flywheel.components.intake.batch_writer import BatchWriter
from flywheel.components.intake.batches import read_batches
from flywheel.components.intake.errors import IntakeError
from flywheel.components.intake.lines import DEFAULT_MAX_LINE_BYTES
from flywheel.components.intake.records import FORMATS
from flywheel.components.intake.summary import IntakeSummary
from flywheel.components.store.engine import running

_PART = 1000  # rows that are made at once: as Python objects they take more room than as the tables that wait


def ingest(
    logs: str,
    store: str,
    run_id: str,
    log_format: str = "auto",
    *,
    max_line_bytes: int = DEFAULT_MAX_LINE_BYTES,
    batch_rows: int = 10_000,
    now: datetime | None = None,
    rating_rule: str = "",
    engine: str = "native",
    ray_address: str = "",
) -> IntakeSummary:
    """Bring logs into the feedback store, anonymized.

    Rows in = accepted + duplicates + quarantined. A row is accepted when something of it is new, or was written by an
    earlier attempt of this very run; so a repeated attempt reports the same counts, and another run of the same input
    reports duplicates only and leaves the tables' versions as they are.

    Args:
        logs: File, folder, glob or object-store URI; plain, gzipped or zstandard.
        store: Local folder or object-store URI of the feedback store.
        run_id: Run that writes.
        log_format: "auto", or a name of `formats.registry.NAMES`.
        max_line_bytes: Longer lines are quarantined.
        batch_rows: Rows per write.
        now: Time of reading for the check of timestamps; None for the clock.
        rating_rule: Which named scores are ratings, as `ratings.parse` reads it; "" for the stated rule.
        engine: Where texts are scrubbed, which takes most of the time (`store.engine`): "native" or "ray".
        ray_address: For ray, the cluster's address; "": the environment's RAY_ADDRESS.

    Returns:
        Counts and the snapshot of the tables' versions.

    Raises:
        IntakeError: Logs, format or key cannot be used; nothing to do with single rows.
        StoreError: The store cannot be read or written.
        EngineError: The engine cannot be used.
    """
    if log_format not in FORMATS:
        raise IntakeError(f"unknown log format {log_format!r}; use one of {', '.join(FORMATS)}")
    if not run_id:
        raise IntakeError("no run id given")
    rule = ratings.parse(rating_rule)
    started_at = datetime.now(UTC)
    found = sources.resolve(logs)
    moment = now or started_at
    with running(engine, ray_address) as on, collection_paused() as collect:
        writer = BatchWriter(store, run_id, log_format, moment, rule, on)
        summary = writer.summary
        summary.started_at, summary.files = started_at, len(found)
        part_rows = _PART if on.workers == 1 else batch_rows  # several workers share a part
        latest = timestamps.latest(moment)
        for part in read_batches(found, log_format, max_line_bytes, batch_rows, part_rows, latest):
            writer.write(part.rows)
            if part.last:
                writer.flush()
                collect()
            part.rows.clear()
        summary.snapshot = writer.snapshot()
    return summary


@contextmanager
def collection_paused() -> Iterator[Callable[[], object]]:
    """Keep Python's search for cycles away from the records of a batch: they are trees, and looking takes most time.

    Yields:
        A function that searches what was made since, for between the batches.
    """
    if not gc.isenabled():
        yield lambda: None
        return
    gc.freeze()
    gc.disable()
    try:
        yield lambda: gc.collect(0)  # what survives is not looked at again
    finally:
        gc.enable()
        gc.unfreeze()

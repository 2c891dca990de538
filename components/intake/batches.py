"""Rows of all files in batches of bounded size, halves of inferences joined on the way."""

from collections.abc import Iterator
from datetime import datetime

from flywheel.components.intake import sources
from flywheel.components.intake.halves import HalfJoiner
from flywheel.components.intake.raw_row import RawRow
from flywheel.components.intake.reading import read_rows

_BATCH_BYTES = 24 << 20


def read_batches(
    found: list[sources.Source], log_format: str, max_line_bytes: int, rows: int, plain_until: datetime | None = None
) -> Iterator[list[RawRow]]:
    """Yield the rows of the files in their order; a batch holds rows of one file, and inferences that it completes.

    Args:
        found: The files.
        log_format: A name of `records.FORMATS`.
        max_line_bytes: Longer lines are not read into memory.
        rows: Most rows of a batch.
        plain_until: As for `read_rows`.
    """
    joiner = HalfJoiner()
    for source in found:
        batch: list[RawRow] = []
        size = 0
        for read in read_rows(source, log_format, max_line_bytes, plain_until):
            if read.shape != "kserve":
                batch.append(read)
                size += len(read.text) or read.size
            else:
                for row in joiner.offer(read):
                    batch.append(row)
                    size += len(row.text) or row.size
            if len(batch) >= rows or size >= _BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch
    lonely = list(joiner.rest())
    for start in range(0, len(lonely), rows):
        yield lonely[start : start + rows]

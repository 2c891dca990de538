"""Rows of all files in batches of bounded size, halves of inferences joined on the way."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from flywheel.components.intake import sources
from flywheel.components.intake.halves import HalfJoiner
from flywheel.components.intake.raw_row import RawRow
from flywheel.components.intake.reading import read_rows

_BATCH_BYTES = 24 << 20


class Part(NamedTuple):
    """Rows of a batch. `last`: the batch ends with them; that part may be empty."""

    rows: list[RawRow]
    last: bool


def read_batches(
    found: list[sources.Source],
    log_format: str,
    max_line_bytes: int,
    rows: int,
    part_rows: int,
    plain_until: datetime | None = None,
) -> Iterator[Part]:
    """Yield the rows of the files in their order; a batch holds rows of one file, and inferences that it completes.

    Args:
        found: The files.
        log_format: A name of `records.FORMATS`.
        max_line_bytes: Longer lines are not read into memory.
        rows: Most rows of a batch.
        part_rows: Most rows of a part, but for the inferences that a row completes.
        plain_until: As for `read_rows`.

    Yields:
        The batches in parts; where a batch ends does not depend on `part_rows`.
    """
    joiner = HalfJoiner()
    for source in found:
        part: list[RawRow] = []
        before = size = 0
        for read in read_rows(source, log_format, max_line_bytes, plain_until):
            if read.shape != "kserve":
                part.append(read)
                size += len(read.text) or read.size
            else:
                for row in joiner.offer(read):
                    part.append(row)
                    size += len(row.text) or row.size
            held = len(part)
            if before + held >= rows or size >= _BATCH_BYTES:
                yield Part(part, True)
                part, before, size = [], 0, 0
            elif held >= part_rows:
                before += held
                yield Part(part, False)
                part = []
        if part or before:
            yield Part(part, True)
    lonely = list(joiner.rest())
    for start in range(0, len(lonely), rows):
        end = min(start + rows, len(lonely))
        for at in range(start, end, part_rows):
            yield Part(lonely[at : min(at + part_rows, end)], at + part_rows >= end)

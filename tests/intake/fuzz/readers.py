"""What is fuzzed: the readers of logs. Bytes in, rows and records or refusals out, never anything else.

The first byte of an input chooses the format's name and the file's ending.
"""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from flywheel.components.intake.errors import IntakeError
from flywheel.components.intake.halves import HalfJoiner
from flywheel.components.intake.reading import read_rows
from flywheel.components.intake.records import FORMATS, Refused, read_record
from flywheel.components.intake.sources import Source

NOW = datetime(2026, 11, 21, tzinfo=UTC)
ENDINGS = (".jsonl", ".csv", ".json", ".parquet")


class Bytes(Source):
    """A file of logs that is in memory."""

    data = b""

    def _raw(self) -> BinaryIO:
        return io.BytesIO(self.data)


def source(data: bytes, ending: str) -> Source:
    """Return bytes as a file of logs."""
    made = Bytes(f"fuzz{ending}", f"fuzz{ending}", NOW)
    object.__setattr__(made, "data", data)
    return made


def read_everything(data: bytes) -> dict[str, int]:
    """Read an input the way intake does, up to the record.

    Args:
        data: First byte: format's name and file's ending; then the file.

    Returns:
        Rows that were read: `records`, and how many were refused by reason.

    Raises:
        AssertionError: A line of a file of lines is in no row.
    """
    if not data:
        return {}
    name, ending = FORMATS[data[0] % len(FORMATS)], ENDINGS[data[0] // len(FORMATS) % len(ENDINGS)]
    counts: dict[str, int] = {}
    joiner = HalfJoiner()
    lines = set()

    def count(key: str) -> None:
        counts[key] = counts.get(key, 0) + 1

    try:
        for row in read_rows(source(data[1:], ending), name, max_line_bytes=4096):
            lines.add(row.line)
            for whole in joiner.offer(row):
                if whole.value is None:
                    assert whole.reason, "a row without a value must say why"
                    count(whole.reason)
                    continue
                try:
                    read_record(whole.value, whole.shape or name, whole.modified, NOW)
                    count("records")
                except Refused as refused:
                    assert refused.detail
                    count(refused.reason)
    except IntakeError:
        count("file refused")  # no Parquet file
        return counts
    for row in joiner.rest():
        count(row.reason)
    if ending == ".jsonl" and name not in ("csv", "parquet") and data[1:2] == b"{" and b"\x00" not in data:
        first = data[1:].split(b"\n", 1)[0].rstrip()
        if not first.endswith((b"{", b"[", b",")):
            wanted = {number for number, line in enumerate(data[1:].split(b"\n"), start=1) if line.strip()}
            assert lines == wanted, f"lines {sorted(wanted ^ lines)} are in no row, or in one that is not there"
    return counts


def seeds(golden: Path, folder: Path) -> int:
    """Write the golden files' lines as seeds: each with its own format's name, and with "auto".

    Returns:
        The number of seeds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for path in sorted(golden.glob("*.*l")):
        name = path.stem if path.stem in FORMATS else "auto"
        for line in path.read_bytes().splitlines():
            for choice in {FORMATS.index(name), FORMATS.index("auto")}:
                (folder / f"{number:05d}").write_bytes(bytes([choice]) + line + b"\n")
                number += 1
    (folder / f"{number:05d}").write_bytes(bytes([len(FORMATS)]) + (golden / "flat.csv").read_bytes())
    return number + 1

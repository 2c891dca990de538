"""Rows cut into parts by a key, on disk: what belongs together comes together, and memory holds one part at a time.

A part of a table that is too large for memory is read once, spilled by the hash of its key, and taken up part by part
(the partitioning phase of a Grace hash join; Kitsuregawa et al. 1983, New Gener. Comput. 1:63).
"""

import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

ROWS_A_PART = 100_000


class Spill:
    """Parts of one table in a folder."""

    def __init__(self, folder: Path, parts: int) -> None:
        """Start with no rows.

        Args:
            folder: Folder for the parts' files; created.
            parts: Number of parts, at least 1.
        """
        folder.mkdir(parents=True)
        self._paths = [folder / f"{number}.arrow" for number in range(parts)]
        self._writers: list[pa.RecordBatchStreamWriter | None] = [None] * parts

    def add(self, rows: pa.Table, keys: list[str]) -> None:
        """Put each row into the part of its key.

        Args:
            rows: Rows; all calls with one schema.
            keys: Key of each row.
        """
        if len(self._paths) == 1:
            self._write(0, rows)
            return
        part = pa.array([part_of(key, len(self._paths)) for key in keys], pa.int32())
        for number in pc.unique(part).to_pylist():
            self._write(number, rows.filter(pc.equal(part, number)))

    def close(self) -> None:
        """End writing."""
        for number, writer in enumerate(self._writers):
            if writer is not None:
                writer.close()
                self._writers[number] = None

    def part(self, number: int) -> pa.Table | None:
        """Read a part; None when it has no rows."""
        self.close()
        path = self._paths[number]
        if not path.exists():
            return None
        with pa.OSFile(str(path), "rb") as file:
            return pa.ipc.open_stream(file).read_all()

    def _write(self, number: int, rows: pa.Table) -> None:
        writer = self._writers[number]
        if writer is None:
            writer = self._writers[number] = pa.ipc.new_stream(str(self._paths[number]), rows.schema)
        writer.write_table(rows)


def part_of(key: str, parts: int) -> int:
    """Number of a key's part, the same in every process."""
    return zlib.crc32(key.encode("utf-8", "surrogatepass")) % parts


def parts_for(rows: int) -> int:
    """How many parts so many rows need."""
    return max(1, -(-rows // ROWS_A_PART))

"""Numbers in buckets: what is too much to sort at once is dealt out to files, and then sorted file by file.

One bucket stays in memory, where nothing is gained by a file.
"""

import tempfile
from pathlib import Path
from typing import Self

import numpy as np

ROOM = 1 << 21  # numbers that a bucket is meant to hold, 16 MiB
_MOST = 256  # files; more numbers than `ROOM` times as many make the buckets larger


class Buckets:
    """Buckets of uint64 in temporary files; use it in a `with` statement.

    Attributes:
        count: Number of buckets, a power of two.
    """

    def __init__(self, expected: int, width: int = 1) -> None:
        """Make empty buckets.

        Args:
            expected: How many numbers will come in about; decides the number of buckets, and nothing else.
            width: Numbers that belong together, as the columns of a row.
        """
        self.count = min(_MOST, 1 << max(0, (expected - 1) // ROOM).bit_length())
        self._shape = (-1,) if width == 1 else (-1, width)
        self._held: list[np.ndarray] = []
        self._folder = tempfile.TemporaryDirectory(prefix="flywheel-buckets-") if self.count > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held = []
        if self._folder is not None:
            self._folder.cleanup()

    def add(self, numbers: np.ndarray, bucket: np.ndarray) -> None:
        """Add numbers.

        Args:
            numbers: Shape (n,), or (n, width), uint64.
            bucket: Bucket of each, shape (n,), in [0, count); not looked at when there is one only.
        """
        if self._folder is None:
            self._held.append(numbers)
            return
        home = bucket.astype(np.uint8)
        order = np.argsort(home, kind="stable")
        ends = np.cumsum(np.bincount(home, minlength=self.count))
        dealt = numbers[order]
        for number, (start, stop) in enumerate(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)):
            if stop > start:
                with self._file(number).open("ab") as file:
                    dealt[start:stop].tofile(file)

    def take(self, bucket: int) -> np.ndarray:
        """Take everything out of a bucket, in the order in which it came in; shape (n,) or (n, width)."""
        if self._folder is None:
            held, self._held = self._held, []
            if len(held) == 1:
                return held[0]
            return np.concatenate(held) if held else np.zeros(0, np.uint64).reshape(self._shape)
        file = self._file(bucket)
        if not file.is_file():
            return np.zeros(0, np.uint64).reshape(self._shape)
        numbers = np.fromfile(file, dtype=np.uint64).reshape(self._shape)
        file.unlink()
        return numbers

    def put(self, bucket: int, numbers: np.ndarray) -> None:
        """Put numbers into one bucket."""
        if self._folder is None:
            self._held.append(numbers)
            return
        with self._file(bucket).open("ab") as file:
            numbers.tofile(file)

    def _file(self, bucket: int) -> Path:
        assert self._folder is not None
        return Path(self._folder.name) / str(bucket)


def distinct(values: np.ndarray) -> np.ndarray:
    """Sorted distinct values, in place; `np.unique` hashes integers since NumPy 2.3, which takes many times as long."""
    values.sort()
    return values[np.concatenate([[True], values[1:] != values[:-1]])] if len(values) else values

"""Which ids a table's files hold, in 12 bytes a row, so that a long write need not read the table for every batch.

Ids are kept as 64-bit hashes beside the number of the file that holds them, in sorted runs that are merged as they
grow (a log-structured merge: O'Neil et al. 1996, "The Log-Structured Merge-Tree"). A hash may be shared by two ids, so
a file that is named may hold none of them; a file that is not named holds none for certain.
"""

from collections.abc import Sequence

import numpy as np


class IdIndex:
    """Looks up in which files ids may be."""

    def __init__(self) -> None:
        self._runs: list[tuple[np.ndarray, np.ndarray]] = []  # hashes sorted (n,), file of each (n,)

    def __len__(self) -> int:
        return sum(len(hashes) for hashes, _ in self._runs)

    def add(self, ids: np.ndarray, file: int) -> None:
        """Note that a file holds ids.

        Args:
            ids: What `hashed` says of them, shape (n,).
            file: Number of the file.
        """
        hashes = np.sort(ids)
        self._runs.append((hashes, np.full(len(hashes), file, np.int32)))
        while len(self._runs) > 1 and len(self._runs[-1][0]) * 2 > len(self._runs[-2][0]):
            (left, left_files), (right, right_files) = self._runs.pop(-2), self._runs.pop()
            both = np.concatenate([left, right])
            order = np.argsort(both, kind="stable")  # a merge: both halves are sorted
            self._runs.append((both[order], np.concatenate([left_files, right_files])[order]))

    def files_of(self, ids: np.ndarray) -> set[int]:
        """Return the files that may hold any of the ids, given as `hashed`."""
        wanted = np.sort(ids)  # neighbours are looked up beside each other, in half the time
        found: set[int] = set()
        for hashes, files in self._runs:
            first = np.searchsorted(hashes, wanted, side="left")
            inside = first < len(hashes)
            at = first[inside]
            there = hashes[at] == wanted[inside]
            found.update(np.unique(files[at[there]]).tolist())
            again = at[there] + 1  # an id that two files hold
            while len(again := again[again < len(hashes)]):
                again = again[hashes[again] == hashes[again - 1]]
                found.update(np.unique(files[again]).tolist())
                again = again + 1
        return found


def hashed(ids: Sequence[str]) -> np.ndarray:
    """Hash ids for the index: Python's own 64 bits, keyed anew in every process, so that no log is made to collide."""
    return np.fromiter(map(hash, ids), np.int64, len(ids))

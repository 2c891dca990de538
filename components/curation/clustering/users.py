"""Users as numbers: four bytes where a name would take thirty."""

from collections.abc import Iterable

import numpy as np

NOBODY = -1  # a case without a user


class Users:
    """The users of a log, each with a number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._ranks = np.zeros(0, np.int32)

    def numbers(self, names: Iterable[str]) -> np.ndarray:
        """The number of each name, int32; `NOBODY` for an empty one."""
        known = self._numbers
        return np.fromiter((known.setdefault(name, len(known)) if name else NOBODY for name in names), np.int32)

    def ranks(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers in the order of the names, so that nothing depends on who came first; `NOBODY` stays."""
        if len(self._ranks) != len(self._numbers) + 1:
            ordered = np.fromiter((self._numbers[name] for name in sorted(self._numbers)), np.int32)
            self._ranks = np.full(len(ordered) + 1, NOBODY, np.int32)
            self._ranks[ordered] = np.arange(len(ordered), dtype=np.int32)
        return np.asarray(self._ranks[numbers])  # the last one is that of NOBODY

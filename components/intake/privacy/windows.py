"""Windows around hits: the few parts of many texts that recognizers need to see, joined to one text.

Most of what people write holds no personal data. The exact recognizers are many and slow, so they run over windows
only, and over all windows of a batch at once: nothing is done per text where nothing fires.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from flywheel.components.intake.privacy.matching_text import FoldedBatch
from flywheel.components.intake.privacy.spans import CUT, TAKEN

_CUT_BYTE, _TAKEN_BYTE, _SPACE_BYTE = ord(CUT), ord(TAKEN), 32

Hits = tuple[np.ndarray, np.ndarray]  # first bytes and bytes behind, int64, ascending
_STEPS = 64  # longer words are rare, but some are very long
_EIGHT_TIMES = np.uint64(0x0101010101010101)
_OF_WORDS = np.array([code >= 128 or chr(code).isalnum() or code == ord("_") for code in range(256)])
NOTHING: Hits = (np.zeros(0, np.int64), np.zeros(0, np.int64))


class Joined:
    """Folded texts joined to one, and where hits in them have their windows.

    Args:
        batch: Folded texts.

    Attributes:
        glued: What is covered and touched a letter or digit: the border that covering made is a new one.
    """

    def __init__(self, batch: FoldedBatch) -> None:
        self.raw, self.starts, self.ends = batch.raw, batch.starts, batch.ends
        self.view = bytearray(self.raw)  # what was found is covered here
        self._bytes = np.frombuffer(self.view, np.uint8)
        self._plain = np.frombuffer(self.raw, np.uint8)
        self.glued: Hits = NOTHING
        self._parts: dict[Callable[[Joined], Hits], Compact] = {}
        self._stops: np.ndarray | None = None
        self._digits: np.ndarray | None = None
        self._characters: np.ndarray | None = None

    def stops(self, places: np.ndarray, step: int) -> np.ndarray:
        """Nearest stops (spaces, control characters, borders) at places or before (step -1) or behind (step 1)."""
        places = places.copy()
        within = np.flatnonzero(self._plain[places] > _SPACE_BYTE)
        for _ in range(_STEPS):
            if not len(within):
                return places
            places[within] += step
            within = within[self._plain[places[within]] > _SPACE_BYTE]
        if self._stops is None:
            self._stops = np.flatnonzero(self._plain <= _SPACE_BYTE)
        at = np.searchsorted(self._stops, places[within]) - (step < 0)
        places[within] = self._stops[at]
        return places

    @property
    def digits(self) -> np.ndarray:
        """Places of the digits that are not covered, ascending."""
        if self._digits is None:
            self._digits = np.flatnonzero(self._bytes - np.uint8(48) < 10)
        else:
            self._digits = self._digits[self._bytes[self._digits] != _TAKEN_BYTE]
        return self._digits

    def cover(self, places: Hits) -> None:
        """Take bytes out of the view, as if texts began and ended there."""
        starts, ends = places
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            self.view[start:end] = TAKEN.encode() * (end - start)
        touching = _OF_WORDS[self._bytes[starts - 1]] | _OF_WORDS[self._bytes[ends]]
        starts = np.concatenate((self.glued[0], starts[touching]))
        ends = np.concatenate((self.glued[1], ends[touching]))
        order = np.argsort(starts, kind="stable")
        self.glued = (starts[order], ends[order])

    def part(self, where: "Callable[[Joined], Hits]") -> "Compact":
        """What stands in the windows that a function names, which it is asked for once."""
        if where not in self._parts:
            self._parts[where] = Compact.of(self, *where(self))
        return self._parts[where]

    def long_words(self, least: int) -> Hits:
        """Runs of at least so many bytes, 23 or more, without a stop."""
        size = len(self._plain) // 8
        free = (self._plain[: size * 8] > _SPACE_BYTE).view(np.uint64) == _EIGHT_TIMES
        places = 8 * np.flatnonzero(free[1:] & free[:-1])  # of 23 bytes, two times eight are two neighbouring columns
        if not len(places):
            return NOTHING
        ends = np.unique(self.stops(places, 1))
        starts = self.stops(ends - 1, -1) + 1
        long = ends - starts >= least
        return starts[long], ends[long]

    def pairs(self, sign: str, least: int, most: int) -> Hits:
        """Signs (ASCII) that are followed by the same sign at some distance."""
        places = np.flatnonzero(self._bytes == ord(sign))
        apart = np.diff(places)
        near = np.flatnonzero((apart >= least) & (apart <= most))
        return places[near], places[near + 1] + 1

    def characters(self, places: np.ndarray) -> np.ndarray:
        """Number of characters before bytes."""
        if self._characters is None:
            ascii_only = self.raw.isascii()
            raw = np.frombuffer(b"" if ascii_only else self.raw, np.uint8)
            self._characters = np.flatnonzero((raw & 0xC0) != 0x80)
        return np.searchsorted(self._characters, places) if len(self._characters) else places

    def text_of(self, places: np.ndarray) -> np.ndarray:
        """Numbers of the texts that hold bytes."""
        return np.searchsorted(self.starts, places, side="right") - 1

    def whole(self) -> Hits:
        """One window over everything."""
        return np.array([0]), np.array([len(self.raw)])

    def around(self, starts: np.ndarray, ends: np.ndarray, before: int, after: int) -> Hits:
        """Windows around hits: grown by the context, then to the next space, never beyond the text; merged.

        Args:
            starts: First bytes of the hits, ascending.
            ends: Bytes behind the hits.
            before: Bytes of context before.
            after: Bytes of context behind.

        Returns:
            First bytes and bytes behind of the windows, ascending and apart from each other. The stop at either end
            (a space or the text's border) belongs to the window.
        """
        if not len(starts):
            return NOTHING
        inside = self.text_of(np.maximum(starts, 1))
        low = np.maximum(starts - before, self.starts[inside] - 1)
        last = self.text_of(np.maximum(ends - 1, starts))
        high = np.minimum(ends + after, self.ends[last])
        low = self.stops(low, -1)
        high = np.maximum.accumulate(self.stops(high, 1) + 1)
        apart = np.concatenate(([True], low[1:] > high[:-1]))
        first = np.flatnonzero(apart)
        return low[first], high[np.concatenate((first[1:] - 1, [len(high) - 1]))]


@dataclass(frozen=True)
class Compact:
    """Windows joined to one text, and the way back.

    Attributes:
        raw: The windows in UTF-8, with cuts between them.
    """

    raw: bytes
    _starts: np.ndarray  # of the windows, in bytes of the joined texts
    _places: np.ndarray  # of the windows, in bytes of the compact text

    @classmethod
    def of(cls, joined: Joined, starts: np.ndarray, ends: np.ndarray) -> "Compact":
        """Cut the windows out of the covered view."""
        view = joined.view
        raw = bytes((_CUT_BYTE,)).join(
            [view[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        )
        return cls(raw, starts, np.concatenate(([0], np.cumsum(ends - starts + 1)[:-1])))

    @property
    def cuts(self) -> np.ndarray:
        """Bytes of the cuts between the windows."""
        return self._places[1:] - 1

    def offsets(self) -> np.ndarray | None:
        """Byte of each character, and of the end; None: they are the same."""
        if self.raw.isascii():
            return None
        return np.append(np.flatnonzero((np.frombuffer(self.raw, np.uint8) & 0xC0) != 0x80), len(self.raw))

    def back(self, places: np.ndarray) -> np.ndarray:
        """Carry bytes of the compact text back to bytes of the joined texts."""
        window = np.searchsorted(self._places, places, side="right") - 1
        return self._starts[window] + places - self._places[window]

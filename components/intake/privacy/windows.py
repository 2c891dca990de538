"""Windows around hits: the few parts of many texts that recognizers need to see, joined to one text.

Most of what people write holds no personal data. The exact recognizers are many and slow, so they run over windows
only, and over all windows of a batch at once: nothing is done per text where nothing fires.
"""

from dataclasses import dataclass

import numpy as np

from flywheel.components.intake.privacy.matching_text import FoldedBatch
from flywheel.components.intake.privacy.spans import CUT

_CUT_BYTE, _SPACE_BYTE = ord(CUT), 32


class Joined:
    """Folded texts joined to one, and where hits in them have their windows.

    Args:
        batch: Folded texts.
    """

    def __init__(self, batch: FoldedBatch) -> None:
        self.raw, self.starts, self.ends = batch.raw, batch.starts, batch.ends
        self.view = bytearray(self.raw)  # what was found is covered here
        self._stops: np.ndarray | None = None
        self._characters: np.ndarray | None = None

    @property
    def stops(self) -> np.ndarray:
        """Places of spaces, control characters and borders, ascending."""
        if self._stops is None:
            self._stops = np.flatnonzero(np.frombuffer(self.raw, np.uint8) <= _SPACE_BYTE)
        return self._stops

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

    def whole(self) -> tuple[np.ndarray, np.ndarray]:
        """One window over everything."""
        return np.array([0]), np.array([len(self.raw)])

    def around(self, starts: np.ndarray, ends: np.ndarray, before: int, after: int) -> tuple[np.ndarray, np.ndarray]:
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
        inside = self.text_of(np.maximum(starts, 1))
        low = np.maximum(starts - before, self.starts[inside] - 1)
        last = self.text_of(np.maximum(ends - 1, starts))
        high = np.minimum(ends + after, self.ends[last])
        stops = self.stops
        low = stops[np.searchsorted(stops, low, side="right") - 1]
        high = stops[np.searchsorted(stops, high, side="left")] + 1
        high = np.maximum.accumulate(high)
        apart = np.concatenate(([True], low[1:] > high[:-1]))
        first = np.flatnonzero(apart)
        return low[first], high[np.concatenate((first[1:] - 1, [len(high) - 1]))]


@dataclass(frozen=True)
class Compact:
    """Windows joined to one text, and the way back.

    Attributes:
        text: What the recognizers see.
    """

    text: str
    _starts: np.ndarray  # of the windows, in bytes of the joined texts
    _places: np.ndarray  # of the windows, in bytes of the compact text
    _bytes: np.ndarray | None  # byte of each character of the compact text; None: they are the same

    @classmethod
    def of(cls, joined: Joined, starts: np.ndarray, ends: np.ndarray) -> "Compact":
        """Cut the windows out of the covered view."""
        view = joined.view
        raw = bytes((_CUT_BYTE,)).join(
            [view[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        )
        places = np.concatenate(([0], np.cumsum(ends - starts + 1)[:-1]))
        offsets = None
        if not raw.isascii():
            offsets = np.append(np.flatnonzero((np.frombuffer(raw, np.uint8) & 0xC0) != 0x80), len(raw))
        return cls(raw.decode(), starts, places, offsets)

    def back(self, places: np.ndarray) -> np.ndarray:
        """Carry places of characters in the compact text back to bytes of the joined texts."""
        if self._bytes is not None:
            places = self._bytes[places]
        window = np.searchsorted(self._places, places, side="right") - 1
        return self._starts[window] + places - self._places[window]

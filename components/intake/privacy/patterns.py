"""Linear-time patterns (RE2) over long texts, with the cost of a text's encoding paid once for all patterns."""

import re
from collections.abc import Iterator

import numpy as np
import re2

_NOT_OVER = "\x1d-\x1f"  # the characters of `spans` that no pattern may match over


class Found:
    """One match; places are in characters."""

    __slots__ = ("_spans", "_text")

    def __init__(self, text: str, spans: list[tuple[int, int]]) -> None:
        self._text, self._spans = text, spans

    def start(self) -> int:
        """First character."""
        return self._spans[0][0]

    def end(self) -> int:
        """Character behind the last one."""
        return self._spans[0][1]

    def span(self, group: int = 0) -> tuple[int, int]:
        """First character of a group and the one behind it; (-1, -1) when it took no part."""
        return self._spans[group]

    def group(self, group: int = 0) -> str:
        """Text of a group."""
        start, end = self._spans[group]
        return self._text[start:end] if start >= 0 else ""


class Pattern:
    r"""A compiled pattern. RE2 has no look-around: borders are checked by `spans.free_standing` and `spans.alone`.

    `\w` and `\b` know ASCII letters only in RE2: patterns over names use `\p{L}`. Recognizers see many texts at once,
    so `^` and `$` are written `\x1e`, and every negated class leaves the three characters of `spans` out.
    """

    def __init__(self, text: str, *, ignore_case: bool = True) -> None:
        self.source = text.replace("[^", f"[^{_NOT_OVER}")
        self.ignore_case = ignore_case
        self._compiled = re2.compile(self.source.encode(), options(ignore_case))
        self.groups = self._compiled.groups

    def finditer(self, text: str) -> Iterator[Found]:
        """Yield the matches from left to right, without overlaps."""
        raw, places = _encoded(text)
        groups = range(self.groups + 1)
        if places is None:
            for match in self._compiled.finditer(raw):
                yield Found(text, [match.span(group) for group in groups])
            return
        spans = np.array([[match.span(group) for group in groups] for match in self._compiled.finditer(raw)], np.int64)
        if len(spans):
            spans = np.where(spans >= 0, np.searchsorted(places, spans), -1)
            for found in spans.tolist():
                yield Found(text, found)

    def finds(self, raw: bytes) -> list[tuple[int, int]]:
        """Return the matches in UTF-8, in bytes."""
        return [match.span() for match in self._compiled.finditer(raw)]


def options(ignore_case: bool) -> "re2.Options":
    """Options of all patterns: enough memory for a large alternation, and quiet."""
    chosen = re2.Options()
    chosen.case_sensitive = not ignore_case
    chosen.max_mem = 64 << 20
    chosen.log_errors = False
    return chosen


def short(text: str, *, ignore_case: bool = True) -> "re.Pattern[str]":
    """Compile a pattern of the standard library, for slices of a few dozen characters only: there it is faster."""
    return re.compile(text, re.IGNORECASE if ignore_case else 0)


_last: tuple[str, bytes, np.ndarray | None] = ("", b"", None)


def _encoded(text: str) -> tuple[bytes, np.ndarray | None]:
    """Return the UTF-8 of a text and where its characters begin (None: each is one byte); remembers the last text."""
    global _last  # noqa: PLW0603 - one text goes through dozens of patterns, one after another
    last, raw, places = _last
    if last is not text:
        raw, places = text.encode(), None
        if len(raw) != len(text):
            places = np.flatnonzero((np.frombuffer(raw, np.uint8) & 0xC0) != 0x80)
        _last = (text, raw, places)
    return raw, places

"""Linear-time patterns (RE2) over long texts, with the cost of a text's encoding paid once for all patterns."""

import re
from collections.abc import Iterator

import numpy as np
import re2

_NOT_OVER = "\x1d-\x1f"  # the characters of `spans` that no pattern may match over
# RE2 compiles `\p{L}` into some thousand instructions, and a DFA of such patterns outgrows any cache. These ranges are
# a dozen: whole blocks of letters, without the blocks of punctuation, symbols and emoji. In Latin blocks that mix both
# cases any letter counts as a capital; who needs to be sure asks `str.isupper`.
_BLOCKS = {
    "L": r"A-Za-z\x{AA}\x{B5}\x{BA}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1FFF}\x{2C00}-\x{2DFF}\x{3005}-\x{3007}"
    r"\x{3040}-\x{FDFF}\x{FE70}-\x{FEFE}\x{10000}-\x{1CFFF}\x{20000}-\x{3FFFF}",
    "M": r"\x{300}-\x{36F}",
    "N": "0-9",
    "Lu": r"A-Z\x{C0}-\x{D6}\x{D8}-\x{DE}\x{100}-\x{24F}\x{386}-\x{3AB}\x{400}-\x{42F}\x{460}-\x{556}\x{1E00}-\x{1FFF}",
    "Ll": r"a-z\x{DF}-\x{F6}\x{F8}-\x{24F}\x{3AC}-\x{3FF}\x{430}-\x{45F}",
    "Han": r"\x{3005}-\x{3007}\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}",
    "Hiragana": r"\x{3040}-\x{309F}",
    "Katakana": r"\x{30A0}-\x{30FF}",
    "Hangul": r"\x{1100}-\x{11FF}\x{AC00}-\x{D7AF}",
}
_UNANCHORED = re2._re2.RE2.Anchor.UNANCHORED
_PROPERTY = re.compile(r"\\p\{(\w+)\}|\\.|[\[\]]", re.DOTALL)


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
        self.source = _in_blocks(text.replace("[^", f"[^{_NOT_OVER}"))
        self.ignore_case = ignore_case
        self._compiled = re2.compile(self.source.encode(), options(ignore_case))
        self.groups = self._compiled.groups

    def finditer(self, text: str) -> Iterator[Found]:
        """Yield the matches from left to right, without overlaps."""
        raw, places = _encoded(text)
        if places is None:
            for spans in self.spans(raw):
                yield Found(text, spans)
            return
        found = np.array(list(self.spans(raw)), np.int64)
        if len(found):
            found = np.where(found >= 0, np.searchsorted(places, found), -1)
            for spans in found.tolist():
                yield Found(text, spans)

    def places(self, text: str) -> list[tuple[int, int]]:
        """Return where the matches are, from left to right: `finditer` without groups."""
        raw, places = _encoded(text)
        found = self.finds(raw)
        if places is None or not found:
            return found
        return [(start, end) for start, end in np.searchsorted(places, np.array(found)).tolist()]

    def finds(self, raw: bytes) -> list[tuple[int, int]]:
        """Return the matches in UTF-8, in bytes."""
        return [spans[0] for spans in self.spans(raw)]

    def spans(self, raw: bytes) -> Iterator[list[tuple[int, int]]]:
        """Yield the groups of each match in UTF-8, in bytes, the whole match first; (-1, -1): it took no part.

        As `finditer` of the library, whose object for each match costs more than the match.
        """
        match, at, size = self._compiled._regexp.Match, 0, len(raw)
        while at <= size:
            spans = match(_UNANCHORED, raw, at, size)
            start, end = spans[0]
            if start < 0:
                return
            yield spans
            at = end if end > at else end + 1  # an empty match


def _in_blocks(text: str) -> str:
    r"""Write `\p{...}` as ranges, inside brackets and outside."""
    out, at, inside = [], 0, False
    for token in _PROPERTY.finditer(text):
        out.append(text[at : token.start()])
        at = token.end()
        if token[1]:
            out.append(_BLOCKS[token[1]] if inside else f"[{_BLOCKS[token[1]]}]")
            continue
        out.append(token[0])
        if token[0] in "[]":
            inside = token[0] == "[" or (inside and token[0] != "]")
    return "".join((*out, text[at:]))


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

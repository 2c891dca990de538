"""Text as the patterns should see it: look-alike characters folded, invisible ones dropped, positions kept.

People (and programs) write numbers with full-width digits, no-break spaces or zero-width characters between them. The
patterns match on a folded copy; the spans found are carried back to the original text.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from flywheel.components.intake.privacy.spans import BORDER, CUT, TAKEN

_SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63"
_INVISIBLE = "\u0000\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff"
_BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def _folding() -> dict[int, str]:
    table = {ord(space): " " for space in _SPACES} | {ord(dash): "-" for dash in _DASHES}
    table |= {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}  # full-width ASCII
    table |= dict.fromkeys(range(28, 32), " ")  # `spans` needs three of these control characters for itself
    table |= {0x2024: ".", 0xFE52: ".", 0x3002: ".", 0xFF61: ".", 0xFE6B: "@", 0x2044: "/", 0x2019: "'", 0x02BC: "'"}
    table |= {code: chr(code - 0xDC00) for code in range(0xDC80, 0xDD00)}  # bytes that were not UTF-8: as Latin-1
    table |= {code: "\ufffd" for code in range(0xD800, 0xE000) if code not in table}  # lone surrogates
    for code in range(0x80, 0x1FC00):
        if code not in table and unicodedata.category(chr(code)) == "Nd":
            table[code] = str(unicodedata.digit(chr(code)))
    return table


_FOLD = _folding()
_FOLD_WITHIN = {code: to for code, to in _FOLD.items() if code != ord(BORDER)}
_UNREADABLE = frozenset(map(chr, (0, *range(0xD800, 0xE000))))
_DROP = frozenset(_INVISIBLE + _BIDI)
_CHANGES = frozenset(map(chr, _FOLD)) | _DROP
_PRINTABLE = bytes(range(0x20, 0x7F)) + b"\n"
_FEW = 64  # different characters to replace one by one


class MatchingText(NamedTuple):
    """A folded text and the way back to the original.

    `origin[i]` is the original index of folded character i; None when the folding kept every position.
    """

    folded: str
    origin: tuple[int, ...] | None

    def original_span(self, start: int, end: int) -> tuple[int, int]:
        """Carry a span of the folded text back to the original text."""
        if self.origin is None:
            return start, end
        return self.origin[start], self.origin[end - 1] + 1


def fold(text: str) -> MatchingText:
    """Fold a text for matching: digits of any script to 0-9, full-width to ASCII, odd spaces and dashes to plain."""
    if text.isascii() and not _holds(text, "\x00\x1c\x1d\x1e\x1f"):
        return MatchingText(text, None)
    seen = frozenset(text)
    if seen.isdisjoint(_CHANGES):
        return MatchingText(text, None)
    if seen.isdisjoint(_DROP):
        return MatchingText(text.translate(_FOLD), None)
    origin = tuple(index for index, character in enumerate(text) if character not in _DROP)
    return MatchingText("".join(text[index] for index in origin).translate(_FOLD), origin)


@dataclass(frozen=True)
class FoldedBatch:
    """Texts folded together.

    Attributes:
        raw: UTF-8 of the folded texts, each between two borders.
        starts: First byte of each text in `raw`.
        ends: Byte behind each text.
        readable: Whether all texts are valid Unicode without NUL as they came.
    """

    raw: bytes
    starts: np.ndarray
    ends: np.ndarray
    readable: bool
    _single: dict[int, MatchingText]  # texts that were folded one by one

    def text(self, index: int) -> MatchingText:
        """The folded text of that number."""
        if index in self._single:
            return self._single[index]
        return MatchingText(self.raw[int(self.starts[index]) : int(self.ends[index])].decode(), None)


def fold_all(texts: Sequence[str]) -> FoldedBatch:
    """Fold texts: what `fold` makes of each, at the price of one look for the characters that fold."""
    border = BORDER.encode()
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    raw = border.join((b"", *encoded, b""))
    strange = raw.translate(None, _PRINTABLE)
    seen = set(strange.decode("utf-8", "surrogatepass"))
    single: dict[int, MatchingText] = {}
    apart = {character for character in seen if character in _DROP or "\ud800" <= character < "\ue000"}
    apart |= seen & {CUT, TAKEN}
    if apart or strange.count(border) != len(texts) + 1:
        apart |= {BORDER}
        single = {index: fold(text) for index, text in enumerate(texts) if not apart.isdisjoint(text)}
        for index, text in single.items():
            encoded[index] = text.folded.encode()
        raw = border.join((b"", *encoded, b""))
    changing = (seen & _CHANGES) - apart - {BORDER}
    if len(changing) > _FEW:
        raw = raw.decode().translate(_FOLD_WITHIN).encode()
    else:
        for character in changing:
            raw = raw.replace(character.encode(), _FOLD[ord(character)].encode())
    if changing:
        places = np.flatnonzero(np.frombuffer(raw, np.uint8) == ord(BORDER))
    else:  # the same without a look
        places = np.cumsum([0, *[len(text) + 1 for text in encoded]])
    return FoldedBatch(raw, places[:-1] + 1, places[1:], apart.isdisjoint(_UNREADABLE), single)


def _holds(text: str, characters: str) -> bool:
    return any(character in text for character in characters)


def readable(text: str) -> str:
    r"""Make any text valid Unicode: bytes that were not UTF-8 become `\xNN`, lone surrogates `\uNNNN`, NUL `\x00`."""
    if "\x00" in text:
        text = text.replace("\x00", "\\x00")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join(map(_escaped, text))
    return text


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code < 0xDD00:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if 0xD800 <= code < 0xE000 else character

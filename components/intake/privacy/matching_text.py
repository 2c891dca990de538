"""Text as the patterns should see it: look-alike characters folded, invisible ones dropped, positions kept.

People (and programs) write numbers with full-width digits, no-break spaces or zero-width characters between them. The
patterns match on a folded copy; the spans found are carried back to the original text.
"""

import unicodedata
from dataclasses import dataclass

_SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63"
_INVISIBLE = "\u0000\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff"
_BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def _folding() -> dict[int, str]:
    table = {ord(space): " " for space in _SPACES} | {ord(dash): "-" for dash in _DASHES}
    table |= {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}  # full-width ASCII
    table |= {0x2024: ".", 0xFE52: ".", 0x3002: ".", 0xFF61: ".", 0xFE6B: "@", 0x2044: "/", 0x2019: "'", 0x02BC: "'"}
    table |= {code: chr(code - 0xDC00) for code in range(0xDC80, 0xDD00)}  # bytes that were not UTF-8: as Latin-1
    table |= {code: "\ufffd" for code in range(0xD800, 0xE000) if code not in table}  # lone surrogates
    for code in range(0x80, 0x1FC00):
        if code not in table and unicodedata.category(chr(code)) == "Nd":
            table[code] = str(unicodedata.digit(chr(code)))
    return table


_FOLD = _folding()
_DROP = frozenset(_INVISIBLE + _BIDI)
_CHANGES = frozenset(map(chr, _FOLD)) | _DROP


@dataclass(frozen=True)
class MatchingText:
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
    if text.isascii() and "\x00" not in text:
        return MatchingText(text, None)
    seen = frozenset(text)
    if seen.isdisjoint(_CHANGES):
        return MatchingText(text, None)
    if seen.isdisjoint(_DROP):
        return MatchingText(text.translate(_FOLD), None)
    origin = tuple(index for index, character in enumerate(text) if character not in _DROP)
    return MatchingText("".join(text[index] for index in origin).translate(_FOLD), origin)


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

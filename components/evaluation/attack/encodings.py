"""Reversible disguises of a text: a reader (or a large model) can undo them, a filter of words does not see through.

Families as in the public scanners' literature: Wei, Haghtalab & Steinhardt (2023), arXiv:2307.02483 (base64, leet,
ROT13); Boucher et al. (2022), "Bad Characters", IEEE S&P (homoglyphs, zero-width characters).
Every encoding takes any Unicode text and loses nothing that its description does not name.
"""

import base64
import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass

ZERO_WIDTH = "\u200b"
_BLANK = "\u2423"  # stands for a blank of the text inside spaced letters

_INSIDE = re.compile(r"\w{2,}")

_LEET = {"a": "4", "e": "3", "i": "1", "o": "0", "s": "5", "t": "7"}
# Cyrillic letters that look like Latin ones in most fonts.
_LOOKALIKE = {
    "a": "\u0430", "c": "\u0441", "e": "\u0435", "i": "\u0456", "o": "\u043e", "p": "\u0440", "s": "\u0455",
    "x": "\u0445", "y": "\u0443", "A": "\u0410", "B": "\u0412", "C": "\u0421", "E": "\u0415", "H": "\u041d",
    "M": "\u041c", "O": "\u041e", "P": "\u0420", "T": "\u0422", "X": "\u0425",
}  # fmt: skip


@dataclass(frozen=True)
class Encoding:
    """One disguise.

    Attributes:
        name: What a person calls it.
        encode: From text to disguise.
        decode: Back. `decode(encode(text)) == text` unless the text holds characters of the disguise itself.
        told: Whether the prompt must say how to read it; the others are read as they stand.
    """

    name: str
    encode: Callable[[str], str]
    decode: Callable[[str], str]
    told: bool


def _to_base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode("ascii")


def _from_base64(text: str) -> str:
    return base64.b64decode(text.encode("ascii"), validate=True).decode("utf-8", "surrogatepass")


def _table(forward: dict[str, str]) -> tuple[Callable[[str], str], Callable[[str], str]]:
    there = str.maketrans(forward)
    back = str.maketrans({shown: letter for letter, shown in forward.items()})
    return lambda text: text.translate(there), lambda text: text.translate(back)


def _broken_up(text: str) -> str:
    """Put one zero-width character inside every word: enough for a filter, and the prompt stays short."""
    return _INSIDE.sub(lambda word: word[0][: len(word[0]) // 2] + ZERO_WIDTH + word[0][len(word[0]) // 2 :], text)


def _spaced(text: str) -> str:
    return " ".join(_BLANK if character == " " else character for character in text)


def _joined(text: str) -> str:
    return "".join(" " if character == _BLANK else character for character in text[::2])


def _rot13(text: str) -> str:
    return codecs.encode(text, "rot13")


_LEET_PAIR = _table(_LEET)
_LOOKALIKE_PAIR = _table(_LOOKALIKE)

ENCODINGS = {
    encoding.name: encoding
    for encoding in (
        Encoding("base64", _to_base64, _from_base64, True),
        Encoding("rot13", _rot13, _rot13, True),
        Encoding("reversed", lambda text: text[::-1], lambda text: text[::-1], True),
        Encoding("leet", *_LEET_PAIR, False),
        Encoding("homoglyph", *_LOOKALIKE_PAIR, False),
        Encoding("zero_width", _broken_up, lambda text: text.replace(ZERO_WIDTH, ""), False),
        Encoding("spaced", _spaced, _joined, False),
    )
}

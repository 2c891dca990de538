"""What a recognizer finds, and the ways recognizers look at a text."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import re2


@dataclass(frozen=True)
class Span:
    """Characters `start` to `end` of a folded text are personal data of this kind."""

    start: int
    end: int
    kind: str  # EMAIL, PHONE, ...: the word in the placeholder


Recognizer = Callable[[str], Iterator[Span]]


def pattern(text: str, *, ignore_case: bool = True) -> "re2._Regexp":
    r"""Compile a linear-time pattern; RE2 has no look-around, so borders are checked by `free_standing`.

    `\w` and `\b` know ASCII letters only in RE2: patterns over names use `\p{L}`.
    """
    options = re2.Options()
    options.case_sensitive = not ignore_case
    options.max_mem = 64 << 20
    options.log_errors = False
    return re2.compile(text, options)


def digits_of(text: str) -> str:
    """Return the ASCII digits of a text."""
    return "".join(character for character in text if "0" <= character <= "9")


def free_standing(text: str, start: int, end: int) -> bool:
    """Whether a span is not part of a longer word, number, path or identifier."""
    before = text[start - 1] if start else " "
    after = text[end] if end < len(text) else " "
    if _word(before) or before in "_#" or _word(after) or after == "_":
        return False
    if before in "-./" and start > 1 and text[start - 2].isalnum():
        return False
    if before in ".," and start > 1 and text[start - 2].isdigit():
        return False
    return not (after in "-./,:" and end + 1 < len(text) and text[end + 1].isdigit())


def _word(character: str) -> bool:
    return character.isalnum() and ord(character) < 0x2E80  # Chinese, Japanese and Korean write without spaces


def by_group(compiled: "re2._Regexp", kind: str, group: int = 1) -> Recognizer:
    """Make a recognizer of a pattern whose group is the personal data."""

    def recognize(text: str) -> Iterator[Span]:
        for match in compiled.finditer(text):
            start, end = match.span(group)
            if end > start:
                yield Span(start, end, kind)

    return recognize

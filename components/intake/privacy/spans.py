"""What a recognizer finds, and the ways recognizers look at a text."""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from flywheel.components.intake.privacy.patterns import Pattern

# Three characters that no text holds (`matching_text.fold` makes spaces of them) and no pattern may match over.
CUT = "\x1d"  # a window ends here, its text goes on
BORDER = "\x1e"  # a text begins or ends here
TAKEN = "\x1f"  # covers what was found already


class Span(NamedTuple):
    """Characters `start` to `end` of a folded text are personal data of this kind."""

    start: int
    end: int
    kind: str  # EMAIL, PHONE, ...: the word in the placeholder


_NO_DIGIT = re.compile(r"[^0-9]+")
Recognizer = Callable[[str], Iterator[Span]]


def digits_of(text: str) -> str:
    """Return the ASCII digits of a text."""
    return text if text.isascii() and text.isdigit() else _NO_DIGIT.sub("", text)


def free_standing(text: str, start: int, end: int) -> bool:
    """Whether a span is not part of a longer word, number, path or identifier."""
    before = text[start - 1] if start else " "
    after = text[end] if end < len(text) else " "
    if _word(before) or before in "_#" or _word(after) or after == "_":
        return False
    if before in "-./" and start > 1 and text[start - 2].isalnum():
        return False
    if before in ".,:" and start > 1 and text[start - 2].isdigit():
        return False
    return not (after in "-./,:" and end + 1 < len(text) and text[end + 1].isdigit())


def alone(text: str, start: int, end: int, glue: str = "") -> bool:
    """Whether no ASCII letter, digit or underscore touches a span, and no sign of `glue` ties it to one."""
    before, after = text[start - 1 : start], text[end : end + 1]
    if before and ((before.isascii() and before.isalnum()) or before == "_" or before in glue):
        return False
    if after.isascii() and (after.isalnum() or after == "_"):
        return False
    return not (after and after in glue and text[end + 1 : end + 2].isalnum())


def _word(character: str) -> bool:
    return character.isalnum() and ord(character) < 0x2E80  # Chinese, Japanese and Korean write without spaces


def by_group(compiled: Pattern, kind: str, group: int = 1) -> Recognizer:
    """Make a recognizer of a pattern whose group is the personal data."""
    if group == 0:
        return lambda text: (Span(start, end, kind) for start, end in compiled.places(text))

    def recognize(text: str) -> Iterator[Span]:
        for match in compiled.finditer(text):
            start, end = match.span(group)
            if end > start:
                yield Span(start, end, kind)

    return recognize

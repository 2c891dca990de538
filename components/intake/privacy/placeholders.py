"""Placeholders such as `[EMAIL_1]`: they keep the kind, and the same value gets the same number."""

import re
from collections import Counter
from collections.abc import Callable, Iterable

from flywheel.components.intake.privacy.names import words_of

PLACEHOLDER = re.compile(r"\[([A-Z]{2,12})_(\d{1,9})\]")
_SPELLED = ("EMAIL", "SECRET", "NAME", "ADDRESS")

# (kind, value in its normal form) -> number; for values that must keep their number beyond one call
Numbering = Callable[[str, str], int]


def normal_form(kind: str, value: str) -> str:
    """Return what two ways to write the same value have in common: case, spaces, and the signs between digits."""
    if kind in _SPELLED:
        return " ".join(value.casefold().split())
    return "".join(filter(str.isalnum, value)).upper()


class Placeholders:
    """Numbers of the placeholders in one group; placeholders that were in the texts before keep theirs.

    Args:
        texts: The group's texts.
        numbering: Where numbers come from; None: 1, 2, ... in the order of appearance.
    """

    def __init__(self, texts: Iterable[str], numbering: Numbering | None = None) -> None:
        self._next: Counter[str] = Counter()
        self._known: dict[tuple[str, str], int] = {}
        self._numbering = numbering
        for text in texts if numbering is None else ():
            if "_" in text:
                for kind, number in PLACEHOLDER.findall(text):
                    self._next[kind] = max(self._next[kind], int(number))

    def of(self, kind: str, value: str) -> str:
        """Return the placeholder of a value; a single name of a known full name has the full name's."""
        key = (kind, normal_form(kind, value))
        if key not in self._known:
            self._known[key] = number = self._number(*key)
            for word in words_of(value) if kind == "NAME" else ():
                self._known.setdefault((kind, word.casefold()), number)
        return f"[{kind}_{self._known[key]}]"

    def _number(self, kind: str, form: str) -> int:
        if self._numbering is not None:
            return self._numbering(kind, form)
        self._next[kind] += 1
        return self._next[kind]

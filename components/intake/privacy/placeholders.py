"""Placeholders such as `[EMAIL_1]`: they keep the kind, and the same value gets the same number.

Within one record numbers are 1, 2, ... A conversation may span records, files and runs, in any order and on many
machines at once; to number its values in their order would need a table of all values ever seen, which is just what
must not be kept. So there the number is a keyed hash of the value under the conversation's own key: up to six digits,
the same wherever the conversation goes on, nothing kept. Two values of a kind get one number with a chance of one in
999,999.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

from flywheel.components.intake.privacy.names import words_of

PLACEHOLDER = re.compile(r"\[([A-Z]{2,12})_(\d{1,9})\]")
NUMBERS = 999_999  # of a conversation's values
_SPELLED = ("EMAIL", "SECRET", "NAME", "ADDRESS")


def normal_form(kind: str, value: str) -> str:
    """Return what two ways to write the same value have in common: case, spaces, and the signs between digits."""
    if kind in _SPELLED:
        return " ".join(value.casefold().split())
    return (value if value.isalnum() else "".join(filter(str.isalnum, value))).upper()


class Placeholders:
    """Numbers of the placeholders in one group; placeholders that were in the texts before keep theirs.

    Args:
        texts: The group's texts.
        key: Of the conversation (at most 64 bytes); empty: numbers 1, 2, ... in the order of appearance.
    """

    def __init__(self, texts: Iterable[str], key: bytes = b"") -> None:
        self._key = key
        self._next: Counter[str] = Counter()
        self._known: dict[tuple[str, str], int] = {}
        for text in texts if not key else ():
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
        if self._key:
            data = form.encode("utf-8", "surrogatepass")
            digest = hashlib.blake2b(data, digest_size=8, key=self._key, person=kind.encode()).digest()
            return 1 + int.from_bytes(digest) % NUMBERS
        self._next[kind] += 1
        return self._next[kind]

"""Find again, in other places, values that were recognized by their surroundings: in time linear in the text.

An alternation of all values would try each of them at each place; a text with tens of thousands of addresses would
hold a process for minutes.
"""

import re
from collections.abc import Iterator, Mapping

from flywheel.components.intake.privacy.spans import Span

_WORD = re.compile(r"\w+")
_BORDER = r"(?<![\w\-])(?:%s)(?![\w\-])"


class Repeats:
    """Looks up values by their first word.

    Args:
        kinds: Value (as matched, folded) -> kind of personal data.
    """

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self._kinds = kinds
        self._by_word: dict[str, list[tuple[str, int]]] = {}
        wordless = []
        for text in kinds:
            first = _WORD.search(text)
            if first is None:
                wordless.append(text)
            else:
                self._by_word.setdefault(first.group(), []).append((text, first.start()))
        for found in self._by_word.values():
            found.sort(key=lambda item: (-item[1], -len(item[0]), item[0]))  # leftmost, then longest
        wordless.sort(key=lambda text: (-len(text), text))
        self._wordless = re.compile(_BORDER % "|".join(map(re.escape, wordless))) if wordless else None

    def find(self, view: str) -> Iterator[Span]:
        """Yield where the values stand, free of other words, without overlaps."""
        end = 0
        for word in _WORD.finditer(view):
            for text, offset in self._by_word.get(word.group(), ()):
                start = word.start() - offset
                if start >= end and view.startswith(text, start) and _free(view, start, start + len(text)):
                    end = start + len(text)
                    yield Span(start, end, self._kinds[text])
                    break
        if self._wordless is not None:
            for match in self._wordless.finditer(view):
                yield Span(*match.span(), self._kinds[match.group()])


def _free(view: str, start: int, end: int) -> bool:
    return not (start and _joins(view[start - 1])) and not (end < len(view) and _joins(view[end]))


def _joins(character: str) -> bool:
    return character == "-" or _WORD.match(character) is not None

"""The word lists of curation (`lexicons.json`): stop words, negations, polite, rude and hedging phrases, and so on.

English only: on other languages the features built on them stay silent, and the classifier abstains more often.
"""

import json
from functools import cache
from importlib.resources import files


@cache
def words(name: str) -> frozenset[str]:
    """A word list by name; entries are case-folded normal forms and may be phrases.

    Raises:
        KeyError: No such list.
    """
    return frozenset(_lists()[name])


@cache
def _by_first_word(name: str) -> dict[str, tuple[tuple[str, ...], ...]]:
    table: dict[str, list[tuple[str, ...]]] = {}
    for phrase in sorted(words(name), key=lambda phrase: (-len(phrase.split()), phrase)):
        parts = tuple(phrase.split())
        table.setdefault(parts[0], []).append(parts)
    return {first: tuple(phrases) for first, phrases in table.items()}


def count(name: str, form: list[str]) -> int:
    """How many phrases of a list occur in a tokenized normal form; the longest phrase at a place counts, once."""
    table = _by_first_word(name)
    found = position = 0
    while position < len(form):
        for phrase in table.get(form[position], ()):
            if tuple(form[position : position + len(phrase)]) == phrase:
                found += 1
                position += len(phrase) - 1
                break
        position += 1
    return found


@cache
def _lists() -> dict[str, list[str]]:
    text = files("flywheel.components.curation.texts").joinpath("lexicons.json").read_text(encoding="utf-8")
    return dict(json.loads(text))

"""The phrases (`phrases.json`, eight languages) that next turns are read with, and the clauses they are looked for in.

All languages are read at once: half of all logs do not name theirs, and whole phrases hardly collide.
"""

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from flywheel.components.curation.texts.normal_form import tokens

# Only the head of a message says how the last answer was received; patterns never meet more text than this.
READ_CHARACTERS = 2000
_QUOTED = re.compile(r"\"[^\"\n]*\"|“[^”]*”|„[^“”\"]*[“”\"]|«[^»]*»|‚[^‘’]*[‘’]|`[^`]*`|^\s*>.*$", re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<=[.!?。！？;:])\s+|\s+[-–—]+\s+|\n+|(?<=[。！？])")
_IS = re.compile(r"\b(that|it|this|what|there|here|where|who|he|she|the)['’]s\b", re.IGNORECASE)


def without_quotes(text: str) -> str:
    """Take out what stands in quotation marks, in backquotes or behind `>`: it is not the writer's own word."""
    return _QUOTED.sub(" ", text[:READ_CHARACTERS])


def sentences(text: str) -> Iterator[tuple[str, bool]]:
    """Split a text; yield each sentence's `clause` form and whether it is a question."""
    for part in _SENTENCE_END.split(text[:READ_CHARACTERS]):
        form = clause(part)
        if form:
            yield form, part.rstrip().endswith(("?", "？"))


def clause(text: str) -> str:
    """Case-folded tokens joined by one space, "that's" written out as "that is"."""
    return " ".join(token.casefold() for token in tokens(_IS.sub(r"\1 is", text)))


@cache
def word_set(name: str) -> frozenset[str]:
    """The words of a list, in all languages, as the tokens that texts are cut into.

    Raises:
        KeyError: No such list.
    """
    return frozenset(token.casefold() for words in _lists()[name].values() for token in tokens(words))


@cache
def opening(name: str) -> re.Pattern[str]:
    """The pattern of a list's phrases at the start of a clause, in any language.

    Raises:
        KeyError: No such list.
    """
    alternatives = [phrase for entry in _lists()[name].values() for phrase in _phrases(entry)]
    return re.compile(rf"^(?:{'|'.join(alternatives)})(?:\s|$)")


@cache
def anywhere(name: str) -> re.Pattern[str]:
    """The pattern of a list's phrases at any place in a clause, in any language.

    Raises:
        KeyError: No such list.
    """
    alternatives = [phrase for entry in _lists()[name].values() for phrase in _phrases(entry)]
    return re.compile(rf"(?:^|\s)(?:{'|'.join(alternatives)})(?=\s|$)")


def after_interjections(form: str) -> str:
    """Take leading interjections ("no", "sorry", "hm, but") off a clause; the clause itself when nothing is left."""
    words = form.split()
    start = 0
    while start < len(words) and words[start] in word_set("interjection"):
        start += 1
    return " ".join(words[start:]) or form


def _phrases(entry: str | list[str]) -> list[str]:
    return [entry] if isinstance(entry, str) else entry


@cache
def _lists() -> dict[str, dict[str, str | list[str]]]:
    text = files("flywheel.components.intake.joining").joinpath("phrases.json").read_text(encoding="utf-8")
    return dict(json.loads(text))

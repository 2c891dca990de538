"""Template expansion: ask for the same in the words that other users used for other things.

A frame is a question with its names and numbers taken out: "How long is the warranty of the {0}?". Two frames mean
the same when the same answer was right for both, about the same thing; so the log itself teaches which frames may
replace each other, for every domain and language. Where it teaches none, a few packaged frames repeat the question with
its subject.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from flywheel.components.curation.texts.normal_form import has_digit, normal_form, question_form
from flywheel.components.store.tables import row_id

GENERATOR = "templates"
_PLACEHOLDER = re.compile(r"\[[A-Z][A-Z_]*_\d+\]")
_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_ATTESTED = 2  # things that a frame was used for
Frame = str


class Frames:
    """Frames of a corpus and which of them replace each other.

    Args:
        corpus: Rows with prompt and correction (or answer) that are taken as right.
        lexicon: Names of the corpus, case-folded.
    """

    def __init__(self, corpus: Sequence[Mapping[str, Any]], lexicon: frozenset[str]) -> None:
        self._lexicon = lexicon
        same: dict[tuple[tuple[str, ...], str], set[Frame]] = defaultdict(set)
        about: dict[Frame, set[tuple[str, ...]]] = defaultdict(set)
        for row in corpus:
            frame, things = self.frame(row["prompt"])
            if things:
                folded = tuple(thing.casefold() for thing in things)
                same[folded, normal_form(row["correction"])].add(frame)
                about[frame].add(folded)
        self._alike: dict[Frame, dict[Frame, int]] = defaultdict(lambda: defaultdict(int))
        for frames in same.values():
            for one in frames:
                for other in frames:
                    # what was asked about one thing only may be a typo, or may fit that thing only
                    if len(about[other]) >= _ATTESTED and question_form(other) != question_form(one):
                        self._alike[one][other] += 1

    def frame(self, question: str) -> tuple[Frame, list[str]]:
        """Take the names and numbers out of a question.

        Returns:
            The question with {0}, {1}, ... for things, and the things; a name with its number is one thing, the same
            thing twice has one place. Curly brackets of the question itself become round.
        """
        text = question.replace("{", "(").replace("}", ")")
        found: list[list[int]] = []
        for match in _WORD.finditer(text):
            word = match.group().casefold()
            if word in self._lexicon or has_digit(word):
                if found and text[found[-1][1] : match.start()].strip() == "":
                    found[-1][1] = match.end()
                else:
                    found.append([match.start(), match.end()])
        things: list[str] = []
        made, place = "", 0
        for start, end in found:
            thing = text[start:end]
            known = [other.casefold() for other in things]
            if thing.casefold() not in known:
                things.append(thing)
                known.append(thing.casefold())
            made += f"{text[place:start]}{{{known.index(thing.casefold())}}}"
            place = end
        return made + text[place:], things

    def questions(self, question: str) -> Iterator[tuple[str, str]]:
        """Other ways to ask, the best-attested first, with the frame of each.

        Args:
            question: The parent's question.
        """
        frame, things = self.frame(question)
        if not things or _PLACEHOLDER.search(question):  # nobody asks about a placeholder of personal data
            return
        learnt = self._alike.get(frame, {})
        for other in sorted(learnt, key=lambda name: (-learnt[name], row_id(question, name))):
            if all(f"{{{place}}}" in other for place in range(len(things))):
                yield other.format(*things), other
        for other in sorted(packaged(), key=lambda name: row_id(question, name)):
            yield other.format(thing=" and ".join(things), question=question.strip()), other


def packaged() -> list[str]:
    """The packaged frames, with places for {thing} and {question}."""
    text = files("flywheel.components.curation.synthetic").joinpath("frames.json").read_text(encoding="utf-8")
    return list(json.loads(text))

"""What a suspect correction is about: the entities its question names, its claim, and whether a text is about it too.

The same notions as the poison guard's (`curation.claims`): names are what a corpus writes with a capital, "Borel 7" is
one thing, and the values of an answer are its numbers and names that the question does not hold.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from flywheel.components.contracts.feedback import Message
from flywheel.components.curation.texts import entity_lexicon
from flywheel.components.curation.texts.claims import Claim, claim_of
from flywheel.components.curation.texts.normal_form import has_digit, normal_form


@dataclass(frozen=True)
class Target:
    """What a suspect aims at.

    Attributes:
        entities: Names in the question, each with its number if it has one; the whole question when it names nothing.
        claim: Values that the correction puts forward; empty when it puts forward nothing that can be recognised.
        sentence: The correction without its values: equal for another answer about the same fact.
        answer: The corrected answer likewise.
    """

    entities: tuple[str, ...]
    claim: Claim
    sentence: str
    answer: str


class Facts:
    """Reads questions and answers of one corpus.

    Args:
        texts: Texts that show which words are names.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._names = entity_lexicon.build(texts)

    def target(self, messages: Iterable[Message], response: str, correction: str) -> Target:
        """Read a suspect."""
        prompt = normal_form(_question(messages))
        claim = claim_of(prompt, normal_form(response), normal_form(correction), self._names)
        entities = self.entities(prompt) or (prompt,)
        return Target(entities, claim, self.skeleton(correction), self.skeleton(response))

    def entities(self, form: str) -> tuple[str, ...]:
        """Names in a normal form; a number right after a name belongs to it."""
        words, found, taken = form.split(), [], -1
        for place, word in enumerate(words):
            if place <= taken or word not in self._names:
                continue
            numbered = place + 1 < len(words) and has_digit(words[place + 1])
            taken = place + numbered
            found.append(" ".join(words[place : taken + 1]))
        return tuple(dict.fromkeys(found))

    def skeleton(self, text: str) -> str:
        """The text with `#` for every value that does not belong to a name."""
        words = normal_form(text).split()
        things = {place + 1 for place, (a, b) in enumerate(pairwise(words)) if a in self._names and has_digit(b)}
        return " ".join(
            "#"
            if place not in things and word not in self._names and entity_lexicon.is_value(word, self._names)
            else word
            for place, word in enumerate(words)
        )

    def states(self, messages: Iterable[Message], answer: str, claim: Claim) -> bool:
        """Whether an answer puts a claim forward."""
        said = claim_of(normal_form(_question(messages)), "", normal_form(answer), self._names)
        return bool(claim) and set(claim) <= set(said)


def _question(messages: Iterable[Message]) -> str:
    return [message.content for message in messages if message.role == "user"][-1]

"""What a correction claims, and which answers are about the same fact.

Users word one claim in many ways ("36 months", "The Borel 7 has a warranty of 36 months."); what they agree or disagree
on are values: numbers, names, yes or no.
"""

from itertools import pairwise

from flywheel.components.curation.texts.digests import digest
from flywheel.components.curation.texts.entity_lexicon import is_negation, is_value
from flywheel.components.curation.texts.lexicons import words as word_list
from flywheel.components.curation.texts.normal_form import has_digit, normal_form

Claim = tuple[str, ...]


def claim_of(prompt: str, response: str, correction: str, lexicon: frozenset[str]) -> Claim:
    """The values that a correction puts forward, sorted; its new content words when it has no values.

    Args:
        prompt: Normal form of the question; its own values are no claim.
        response: Normal form of the answer that was corrected.
        correction: Normal form of the correction.
        lexicon: Names of the corpus, case-folded.

    Returns:
        The claim; empty when the correction says nothing that the answer did not say.
    """
    stop = word_list("stop")
    question = prompt.split()
    things = _things(question, lexicon)
    asked, answered = set(_without(question, things)), set(_without(response.split(), things))
    words = _without(correction.split(), things)
    names = {name for name, _ in things}
    values = {word for word in words if is_value(word, lexicon) and word not in asked and word not in names}
    if any(map(is_negation, words)):
        values.add("not")
    elif words and words[0] in word_list("yes"):
        values.add("yes")
    if not values:
        known = asked | answered | names
        values = {word for word in words if word not in stop and word not in known}
    return () if values <= answered else tuple(sorted(values))


def _things(words: list[str], lexicon: frozenset[str]) -> set[tuple[str, str]]:
    """Names with their number, as in "Borel 7": the 7 is no value."""
    return {(a, b) for a, b in pairwise(words) if a in lexicon and has_digit(b)}


def _without(words: list[str], things: set[tuple[str, str]]) -> list[str]:
    kept: list[str] = []
    for word in words:
        if kept and (kept[-1], word) in things:
            kept.pop()
        else:
            kept.append(word)
    return kept


def agree(a: Claim, b: Claim) -> bool:
    """Whether two claims can both be true: one says no more than the other."""
    return set(a) <= set(b) or set(b) <= set(a)


def answers_agree(a: str, b: str, question: str = "") -> bool:
    """Whether two answers can both be right: the content words of one are among the other's.

    So "36 months" agrees with "The Borel 7 has a warranty of 36 months.", and not with "24 months".

    Args:
        a: An answer.
        b: Another.
        question: What was asked; its words are no part of what an answer says.
    """
    first, second = normal_form(a), normal_form(b)
    if first == second:
        return True
    ignored = word_list("stop") | set(normal_form(question).split())
    said, other = set(first.split()) - ignored, set(second.split()) - ignored
    return bool(said and other) and (said <= other or other <= said)


def fact_of(prompt: str, response: str, lexicon: frozenset[str]) -> tuple[str, ...] | None:
    """A key that two differently worded questions share when they got the same answer about the same thing.

    Args:
        prompt: Normal form of the question.
        response: Normal form of the answer.
        lexicon: Names of the corpus, case-folded.

    Returns:
        The names and numbers of the question with the answer, when the answer repeats all of them and is no evasion;
        None when nothing shows that equal answers mean equal questions.
    """
    asked = sorted({word for word in prompt.split() if has_digit(word) or word in lexicon})
    answered = set(response.split())
    if (
        not asked
        or not answered.issuperset(asked)
        or answered & word_list("evasive")
        or any(map(is_negation, answered))
    ):
        return None
    return (*asked, response)


def key_of(context: str, prompt: str, response: str, lexicon: frozenset[str]) -> tuple[bytes, bool]:
    """What stands for a fact with its answer, or for a question with its answer where no fact can be told.

    Args:
        context: Normal form of what was said before.
        prompt: Normal form of the question.
        response: Normal form of the answer.
        lexicon: Names of the corpus, case-folded.

    Returns:
        Digest of the key (`digests.digest`), and whether it is one of a fact (`fact_of`).
    """
    fact = fact_of(prompt, response, lexicon)
    return digest(fact or (context, prompt, response)), fact is not None

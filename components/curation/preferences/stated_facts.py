"""What an answer states: numbers with their unit, names, yes and no, in a form that two wordings share.

"The warranty is 24 months." and "It has a warranty of 24 months, dear customer." state the same; "24 weeks" does not.
"""

from itertools import pairwise

from flywheel.components.curation.texts.entity_lexicon import is_negation, is_value
from flywheel.components.curation.texts.lexicons import words as word_list
from flywheel.components.curation.texts.normal_form import has_digit

Facts = frozenset[tuple[str, ...]]


def stated_facts(question: str, answer: str, lexicon: frozenset[str]) -> Facts:
    """Collect the facts of an answer.

    Args:
        question: Normal form; its names are what the answer is about, not what it says.
        answer: Normal form.
        lexicon: Names of the corpus, case-folded.

    Returns:
        Facts: (number, unit), (name,), ("not",), ("yes",); empty when nothing in the answer can be compared so.
    """
    asked, words = question.split(), answer.split()
    named = {(a, b) for a, b in pairwise([*asked, "", *words]) if a in lexicon and has_digit(b)}
    about = {name for name in asked if name in lexicon}
    facts: set[tuple[str, ...]] = set()
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        after = words[place + 1] if place + 1 < len(words) else ""
        if (before, word) in named or word in about:
            continue
        if is_negation(word):
            facts.add(("not",))
        elif word in lexicon:
            facts.add((word,))
        elif is_value(word, lexicon):
            facts.add((word, _unit(after, lexicon)))
    if words and words[0] in word_list("yes"):
        facts.add(("yes",))
    return frozenset(facts)


def evades(answer: str) -> bool:
    """Whether an answer (normal form) says that it does not know or cannot help."""
    return bool(set(answer.split()) & word_list("evasive"))


def _unit(word: str, lexicon: frozenset[str]) -> str:
    """The word behind a number, without its plural; "" when it is no unit."""
    if not word or word in word_list("stop") or is_value(word, lexicon):
        return ""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word

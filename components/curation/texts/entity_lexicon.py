"""Which words of a corpus are names: capitalised inside sentences more often than not.

A user may type "borel 7" in lower case; the corpus still knows that Borel is a name, because answers write it with a
capital. Names must match exactly in near-duplicates and are the values that contradicting corrections differ in.
"""

import re
from collections import Counter
from collections.abc import Iterable

from flywheel.components.curation.texts.lexicons import words as word_list
from flywheel.components.curation.texts.normal_form import tokens

# A mark and white space behind it, or what ends a sentence without; begins with one set, which `re` looks for fast.
_SENTENCE = re.compile(r"[.!?:;\n\"“”(]\s*(?:(?<=\s)|(?<=[\"“”(]))")
_SIGNS = frozenset("$€£¥%")


def build(texts: Iterable[str], share: float = 0.5) -> frozenset[str]:
    """Collect the names of a corpus, case-folded.

    Args:
        texts: Every text of the corpus, once each; texts in title case or capitals throughout say nothing.
        share: A word is a name when at least this share of its occurrences inside sentences is capitalised.

    Returns:
        The names; independent of the order of the texts.
    """
    capital: Counter[str] = Counter()
    lower: Counter[str] = Counter()
    for text in texts:
        for sentence in _SENTENCE.split(text):
            words = tokens(sentence)
            if not all(map(str.isalpha, words)):
                words = [token for token in words if token[0].isalpha()]
            if all(map(str.islower, words[1:])):  # most sentences: the first word alone may have a capital
                lower.update(words[1:] if words and words[0][0].isupper() else words)
                continue
            upper = [word for word in words if word[0].isupper()]
            if len(words) >= 4 and len(upper) > 0.6 * len(words):
                continue
            lower.update(word for word in words if not word[0].isupper())
            capital.update(word.casefold() for word in (upper[1:] if words[:1] == upper[:1] else upper))
    return frozenset(
        word
        for word, count in capital.items()
        if count >= share * (count + lower[word])
        and word not in word_list("number")
        and not word.startswith(("i'", "i’"))
    ) - {"i", "ok", "yes"}


def is_negation(word: str) -> bool:
    """Whether a case-folded word negates."""
    return word in word_list("negation") or word.endswith("n't")


def is_value(word: str, lexicon: frozenset[str]) -> bool:
    """Whether a case-folded token is a number, a number word, a currency sign or a name."""
    return word in lexicon or word in word_list("number") or word in _SIGNS or any(map(str.isdigit, word))


def signature(form: str, lexicon: frozenset[str]) -> tuple[str, ...]:
    """The tokens of a normal form that must be equal in near-duplicates: values and the number of negations."""
    words = form.split()
    there = set(words)
    values = there & lexicon | there & word_list("number") | there & _SIGNS
    values.update(word for word in there if not word.isalpha() and any(map(str.isdigit, word)))
    negations = there & word_list("negation")
    if "n't" in form:
        negations.update(word for word in there if word.endswith("n't"))
    found = sorted(filter(values.__contains__, words)) if values else []
    return (*found, f"negations={sum(map(negations.__contains__, words)) if negations else 0}")

"""Whether one message asks again what another asked: by its words alone, no model and no meaning.

A message that swaps one content word for another ("the *first* ferry") or brings a number of its own asks something
new, however alike the two look; a message that only adds, drops or respells words asks the same again.
"""

from difflib import SequenceMatcher

from flywheel.components.curation.texts.normal_form import has_digit, normal_form
from flywheel.components.intake.joining.phrases import word_set

_SPELLING = 0.8  # least ratio of two spellings of one word
_PREFIX = 5  # inflections share this many letters
_WORDS = 60  # longer messages are compared by their first words


def content(text: str) -> tuple[str, ...]:
    """The words of a text that carry content, in order, without repeats; all its words when none does."""
    words = dict.fromkeys(normal_form(text).split()[:_WORDS])
    kept = tuple(word for word in words if word not in word_set("stop"))
    return kept or tuple(words)


def asks_again(before: str, after: str) -> bool:
    """Whether `after` repeats the question `before` in near-equal words, without new information.

    Args:
        before: The user's message.
        after: The user's next message.
    """
    one, two = content(before), content(after)
    if not one or not two:
        return False
    if _glued(before) == _glued(after):
        return True
    missing, novel = _unmatched(one, two), _unmatched(two, one)
    if any(has_digit(word) for word in novel) or (missing and novel):
        return _ratio(_glued(before), _glued(after)) >= 0.95 and _numbers(one) == _numbers(two)
    common = len(two) - len(novel)
    return common >= 1 and len(novel) <= 1 and common / max(len(one), len(two)) >= 0.6


def shares_subject(before: str, after: str) -> bool:
    """Whether two messages are about the same thing by name: a content word in common and no number of its own."""
    one, two = content(before), content(after)
    novel = _unmatched(two, one)
    return len(novel) < len(two) and not any(has_digit(word) for word in novel)


def _unmatched(words: tuple[str, ...], among: tuple[str, ...]) -> list[str]:
    return [word for word in words if word not in among and not any(_same_word(word, other) for other in among)]


def _same_word(a: str, b: str) -> bool:
    if has_digit(a) or has_digit(b):
        return a == b
    if len(a) >= _PREFIX and len(b) >= _PREFIX and a[:_PREFIX] == b[:_PREFIX]:
        return True
    return min(len(a), len(b)) >= 4 and _ratio(a, b) >= _SPELLING


def _ratio(a: str, b: str) -> float:
    return SequenceMatcher(None, a, b, autojunk=False).ratio()


def _glued(text: str) -> str:
    return normal_form(text).replace(" ", "")[:400]


def _numbers(words: tuple[str, ...]) -> set[str]:
    return {word for word in words if has_digit(word)}

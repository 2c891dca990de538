"""Whether a stored text still tells a canary."""

import math

from flywheel.components.intake.privacy_audit.canary import Canary

_SHARE = 0.6  # of a value's letters and digits; as much of it in a row counts as leaked
_LEAST = 4  # letters and digits; fewer in a row may be chance


def normal_form(text: str) -> str:
    """Return the letters and digits of a text, without case."""
    return "".join(filter(str.isalnum, text.casefold()))


def leaked(canary: Canary, stored: str, before: str) -> bool:
    """Whether a stored text holds the value, in any spelling, or more than half of it in a row.

    Args:
        canary: What was put in.
        stored: The text as it is in the table.
        before: The text before the canary was put in: what it held itself is no leak.
    """
    if canary.whole_words:
        words, old = set(_words(stored)), set(_words(before))
        return any(word.casefold() in words - old for word in canary.whole_words)
    form, have, had = normal_form(canary.value), normal_form(stored), normal_form(before)
    least = min(len(form), max(_LEAST, math.ceil(_SHARE * len(form))))
    pieces = {form[at : at + least] for at in range(len(form) - least + 1)}
    return any(piece in have and piece not in had for piece in pieces)


def _words(text: str) -> list[str]:
    return "".join(
        character if character.isalnum() or character in "'-" else " " for character in text.casefold()
    ).split()

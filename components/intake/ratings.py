"""Which named scores of other tools are a user's rating (-1, 0, +1), and which stay scores: a stated rule, no guess.

The rule. A score is a rating when its name is one of NAMES (case and punctuation do not count) and its label is one of
the words of WORDS, or its value is true, false, 1, 0 or -1. A bare 0 is a down vote, as Langfuse and Phoenix write one
(their scale is 0 and 1). Anything else, as 0.7 or 4 stars, stays a score with its value. Only what a person said can be
a rating: a model's or a program's judgement stays a score whatever its name. `parse` reads a rule that overrides.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from flywheel.components.contracts.feedback import Annotator
from flywheel.components.intake.errors import IntakeError

Rating = Literal[-1, 0, 1]
# fmt: off
NAMES = frozenset((
    "rating", "userrating", "thumb", "thumbs", "thumbsup", "thumbsupdown", "thumbsrating", "userthumbs", "feedback",
    "userfeedback", "userscore", "like", "liked", "userlike", "helpful", "ishelpful", "washelpful", "userhelpful",
    "satisfied", "usersatisfied",
))
_UP = (
    "1", "up", "thumbsup", "thumbup", "positive", "like", "liked", "good", "true", "yes", "helpful", "satisfied", "👍",
)
_DOWN = (
    "-1", "down", "thumbsdown", "thumbdown", "negative", "dislike", "disliked", "bad", "false", "no", "unhelpful",
    "nothelpful", "dissatisfied", "unsatisfied", "👎",
)
# fmt: on
WORDS: dict[str, Rating] = {
    **{word: 1 for word in _UP},  # noqa: C420 - dict.fromkeys would lose the literal type
    **{word: -1 for word in _DOWN},  # noqa: C420
    "neutral": 0,
}
_SIGNS = re.compile(r"[\s_\-.:/]+")


@dataclass(frozen=True)
class Scale:
    """How the values of one name become ratings: exact values or labels first, then two bounds."""

    exact: Mapping[str, Rating] = field(default_factory=dict)
    down_at_most: float = -math.inf
    up_at_least: float = math.inf

    def rating(self, value: Any) -> Rating | None:
        """Return the rating of a value or label, or None when the scale does not say."""
        found = self.exact.get(_word(value))
        if found is not None or self.up_at_least == math.inf:
            return found
        number = _number(value)
        if number is None:
            return None
        return 1 if number >= self.up_at_least else -1 if number <= self.down_at_most else 0


@dataclass(frozen=True)
class RatingRule:
    """The rule: the scales of named scores, and the names that mean a rating when no scale is given."""

    scales: Mapping[str, Scale] = field(default_factory=dict)
    never: frozenset[str] = frozenset()

    def rating(self, name: str, value: Any, label: str | None, annotator: Annotator) -> Rating | None:
        """Return the rating that a named score is, or None when it stays a score.

        Args:
            name: The score's name in its tool.
            value: A boolean or a number; None when there is only a label.
            label: A category.
            annotator: Who judged; a model or a program rates nothing.
        """
        bare = _bare(name)
        if annotator not in (Annotator.USER, Annotator.HUMAN) or bare in self.never:
            return None
        scale = self.scales.get(bare) or (_PLAIN if bare in NAMES else None)
        if scale is None:
            return None
        of_label = scale.rating(label) if label else None
        return of_label if of_label is not None or value is None else scale.rating(value)

    def means_rating(self, name: str) -> bool:
        """Whether scores of this name are meant as a user's rating, whatever the value."""
        bare = _bare(name)
        return bare not in self.never and (bare in self.scales or bare in NAMES)

    def own(self, value: Any) -> Rating | None:
        """Return what the scale given for `rating` makes of our own field's value; None when no scale is given."""
        scale = self.scales.get("rating")
        return scale.rating(value) if scale is not None else None


def our_rating(value: Any) -> Rating | None:
    """Read the field `rating` of our own format, where 0 is neutral; None when it is none."""
    word = _word(value)
    return 0 if word == "0" else WORDS.get(word)


_PLAIN = Scale(exact={**WORDS, "0": -1})
DEFAULT = RatingRule()


def parse(text: str) -> RatingRule:
    """Read a rule that overrides the one that is stated above.

    Args:
        text: "" for the stated rule, or a JSON object: name -> [down_at_most, up_at_least] for a numeric scale (between
            the two is 0), or {value or label: -1, 0 or 1}, or false for a name that is never a rating. As
            `{"csat": [2, 4], "resolved": {"yes": 1, "no": -1}, "helpful": false}`.

    Raises:
        IntakeError: Not such an object; the message names the entry.
    """
    if not text.strip():
        return DEFAULT
    try:
        given = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise IntakeError(f"ratings: not JSON ({error}); give an object as {_EXAMPLE}") from error
    if not isinstance(given, dict):
        raise IntakeError(f"ratings: not a JSON object; give one as {_EXAMPLE}")
    never = frozenset(_bare(name) for name, scale in given.items() if scale is False)
    return RatingRule({_bare(name): _scale(name, scale) for name, scale in given.items() if scale is not False}, never)


_EXAMPLE = '{"csat": [2, 4], "resolved": {"yes": 1, "no": -1}, "helpful": false}'


def _scale(name: str, given: Any) -> Scale:
    if isinstance(given, list) and len(given) == 2:
        down, up = (_number(bound) for bound in given)
        if down is not None and up is not None and down < up:
            return Scale(down_at_most=down, up_at_least=up)
    if isinstance(given, dict) and given and all(type(item) is int and item in (-1, 0, 1) for item in given.values()):
        return Scale(exact={_word(value): item for value, item in given.items()})
    raise IntakeError(
        f"ratings: {name!r} is neither [down_at_most, up_at_least] with the first below the second, nor an object of "
        f"-1, 0 and 1, nor false; as {_EXAMPLE}"
    )


def _bare(name: str) -> str:
    return _SIGNS.sub("", name.lower())


def _word(value: Any) -> str:
    """Write a value as the tables above do: 1.0 and True and "Thumbs-Up" are "1", "true" and "thumbsup"."""
    number = None if isinstance(value, bool) else _number(value)
    if number is not None:
        return f"{number:g}"
    return _SIGNS.sub("", str(value).strip().lower())


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None

"""A named score of another tool as signals: a rating where the rule says so, a score otherwise, and its comment."""

import math
from typing import Any

from flywheel.components.contracts.feedback import Annotator
from flywheel.components.intake.ratings import RatingRule

KINDS = {
    "HUMAN": Annotator.HUMAN, "ANNOTATION": Annotator.HUMAN, "USER": Annotator.USER, "END_USER": Annotator.USER,
    "LLM": Annotator.LLM, "EVAL": Annotator.LLM, "CODE": Annotator.CODE,
}  # fmt: skip


def annotator(kind: Any, name: str, rule: RatingRule) -> Annotator:
    """Return who gave a score.

    A tool's HUMAN is also what it calls the end user: a score that says so in its name (`user_feedback`, `thumbs`) is a
    user's, because a reviewer is trusted more. A kind that is missing or unknown is a user's where the name means a
    rating, a program's otherwise.

    Args:
        kind: As the tool writes it, in whatever case.
        name: The score's name.
        rule: Which names mean a rating.
    """
    known = KINDS.get(str(kind).upper()) if kind is not None else None
    if known is Annotator.HUMAN and name.lower().startswith(("user", "end_user", "end-user")):
        return Annotator.USER
    if known is not None:
        return known
    return Annotator.USER if rule.means_rating(name) else Annotator.CODE


def signals(name: Any, value: Any, label: Any, explanation: Any, who: Annotator, rule: RatingRule) -> dict[str, Any]:
    """Return the fields of `Signals` for a named score.

    What a person explains is a comment beside the score; a model's or program's words stay with the score.

    Args:
        name: The score's name.
        value: A boolean or a number; None when there is only a label.
        label: A category.
        explanation: Free text.
        who: Who judged.
        rule: Which scores are ratings.

    Raises:
        ValueError: It has no name, or neither value, label nor explanation, or the value is no number.
    """
    if not isinstance(name, str) or not name.strip():
        raise ValueError("score: no name")
    said = explanation if isinstance(explanation, str) and explanation.strip() else None
    category = str(label) if isinstance(label, str | int | float) and str(label).strip() else None
    person = who in (Annotator.USER, Annotator.HUMAN)
    if value is None and category is None and said is None:
        raise ValueError("score: neither a value, nor a label, nor an explanation")
    found: dict[str, Any] = {"comment": said} if person and said else {}
    rating = rule.rating(name, value, category, who)
    if rating is not None:
        return found | {"rating": rating}
    score = {"name": name[:200], "value": _value(value), "label": category, "explanation": None if person else said}
    if any(score[key] is not None for key in ("value", "label", "explanation")):
        found["scores"] = [score]
    return found


def _value(value: Any) -> float | None:
    if value is None or isinstance(value, bool):
        return None if value is None else float(value)
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("score: its value is not a number") from error
    if not math.isfinite(number):
        raise ValueError("score: its value is not finite")
    return number

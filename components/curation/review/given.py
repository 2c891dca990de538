"""One answer as a queue gives it, before it is checked, and the row of the table `reviews` that it becomes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flywheel.components.curation.categories.category import CATEGORIES
from flywheel.components.curation.review.decisions import ACCEPT, REJECT, VERDICTS
from flywheel.components.store.tables import row_id

_SAME = {
    **dict.fromkeys(("accept", "accepted", "approve", "approved", "yes", "ok"), ACCEPT),
    **dict.fromkeys(("reject", "rejected", "decline", "declined", "no"), REJECT),
}


class Invalid(ValueError):
    """An answer that cannot be used.

    Attributes:
        reason: Reason code of the quarantine.
    """

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(words)
        self.reason = reason


@dataclass(frozen=True)
class Given:
    """What a reviewer entered.

    Attributes:
        place: Line of the file, or number of the annotation.
        candidate_id: As given.
        verdict: As given.
        category: As given; "" keeps the candidate's.
        correction: The reviewer's wording; "" leaves it as it was.
        note: Remark.
        reviewer: Who, by name or address; only a pseudonym of it is kept.
        at: When; None where the queue does not know.
        raw: Everything, for the quarantine.
    """

    place: int
    candidate_id: str
    verdict: str
    category: str
    correction: str
    note: str
    reviewer: str
    at: datetime | None
    raw: Mapping[str, Any]


def checked(given: Given, candidates: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Check an answer against the candidates.

    Args:
        given: The answer.
        candidates: By id.

    Returns:
        candidate_id, verdict, category, correction (None when unchanged) and note; texts are not scrubbed yet.

    Raises:
        Invalid: The candidate is unknown, or a value is none of those that can be given; says which can.
    """
    candidate = candidates.get(given.candidate_id)
    if candidate is None:
        raise Invalid(
            "unknown_candidate", f"no candidate has the id {given.candidate_id[:64]!r}; was it exported here?"
        )
    verdict = _SAME.get(given.verdict.strip().casefold())
    if verdict is None:
        raise Invalid("invalid_verdict", f"verdict {given.verdict[:64]!r} is none of {', '.join(VERDICTS)}")
    category = given.category.strip().casefold() or str(candidate["category"])
    if category not in CATEGORIES:
        raise Invalid("invalid_category", f"category {given.category[:64]!r} is none of {', '.join(CATEGORIES)}")
    if not given.reviewer.strip():
        raise Invalid("no_reviewer", "nobody is named as the reviewer: fill in the column `reviewer` or name one")
    text = given.correction.strip()
    if text and verdict == REJECT:
        raise Invalid("edit_of_rejected", "a rejected correction has an edited text; accept it, or remove the edit")
    return {
        "candidate_id": given.candidate_id,
        "verdict": verdict,
        "category": category,
        "correction": text if text and text != str(candidate["correction"]).strip() else None,
        "note": given.note.strip(),
    }


def review_id(row: Mapping[str, Any], turn: str | int) -> str:
    """The id of a review: the same answer of the same reviewer at the same turn is one row.

    Args:
        row: The row.
        turn: When it was given, or how many answers the reviewer had given for the candidate before.
    """
    names = ("source", "candidate_id", "reviewer", "verdict", "category", "correction", "note")
    return row_id("review", *(row[name] for name in names), turn)

"""The reviewers' word on the rows of a run: before the router decides anything, it is done."""

from collections.abc import Mapping, Sequence
from typing import Any

from flywheel.components.curation.review.decisions import ACCEPT, REJECT
from flywheel.components.curation.review.reviewed import Reviewed
from flywheel.components.curation.texts.claims import agree, claim_of
from flywheel.components.curation.texts.normal_form import normal_form

REJECTED, TIE, CONTRADICTS, RESEMBLES = "rejected_in_review", "review_tie", "contradicts_review", "resembles_rejected"
Row = dict[str, Any]


def apply(rows: Sequence[Mapping[str, Any]], reviewed: Reviewed, lexicon: frozenset[str]) -> list[Row]:
    """Write the reviewers' decisions into rows.

    Args:
        rows: Classified rows.
        reviewed: What people said.
        lexicon: Names of the corpus, to read the claim of their wordings.

    Returns:
        The rows with `decided` ("accept", "reject", "tie" or ""), and where accepted with the reviewers' category and
        wording and with confidence 1.
    """
    made = []
    for row in rows:
        decision = reviewed.decision_on(row)
        new = {**row, "decided": decision.verdict if decision else ""}
        if decision and decision.verdict == ACCEPT:
            new |= {"category": decision.category, "confidence": 1.0}
            if decision.correction is not None:
                texts = (row["prompt"], row["response"], decision.correction)
                new |= {
                    "correction": decision.correction,
                    "claim": list(claim_of(*map(normal_form, texts), lexicon)),
                }
        made.append(new)
    return made


def against(rows: Sequence[Row]) -> dict[int, str]:
    """Undecided rows that say something else than an accepted one, or the same as a rejected one, on its question.

    Without this, other users' wordings would outvote the reviewers in the dataset.

    Args:
        rows: Rows with `decided`.

    Returns:
        Reason by index.
    """
    right: dict[str, list[tuple[str, ...]]] = {}
    wrong: dict[str, set[tuple[str, ...]]] = {}
    for row in rows:
        claim = tuple(row["claim"])
        if claim and row.get("decided") == ACCEPT:
            right.setdefault(row["question_id"], []).append(claim)
        elif claim and row.get("decided") == REJECT:
            wrong.setdefault(row["question_id"], set()).add(claim)
    found = {}
    for index, row in enumerate(rows):
        claim = tuple(row["claim"])
        if row.get("decided") or not claim:
            continue
        accepted = right.get(row["question_id"], [])
        if accepted and not any(agree(claim, other) for other in accepted):
            found[index] = CONTRADICTS
        elif claim in wrong.get(row["question_id"], ()):
            found[index] = RESEMBLES
    return found

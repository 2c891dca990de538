"""What the store knows of reviews at one version: contents with their candidates, requests, answers and decisions."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from flywheel.components.contracts.tables import TableReference
from flywheel.components.curation.review import contents
from flywheel.components.curation.review.decisions import REQUESTED, Answer, Decision, decide, follow
from flywheel.components.store import delta_table, lineage

IMPORT_STEP = "import_reviews"
AUDIT = "audit"
_COLUMNS = [
    "candidate_id",
    "run_id",
    "messages",
    "prompt",
    "response",
    "correction",
    "category",
    "confidence",
    "reason",
]


@dataclass(frozen=True)
class Reviewed:
    """Reviews as of one version.

    Attributes:
        answers: Every answer, withdrawn ones too.
        decisions: By content.
        audited: Contents that were drawn at random for review.
        requested: When each content was first asked for.
        candidates: Newest candidate of each content that was asked for or answered.
    """

    answers: list[Answer]
    decisions: dict[str, Decision]
    audited: frozenset[str]
    requested: dict[str, datetime]
    candidates: dict[str, dict[str, Any]]

    def decision_on(self, row: Mapping[str, Any]) -> Decision | None:
        """What people decided about a row's content, following their own wordings of it."""
        if not self.decisions:
            return None
        return follow(self.decisions, contents.of_row(row), self._edited)

    @cached_property
    def _edited(self) -> dict[str, str]:
        return {
            content: contents.of_row({**self.candidates[content], "correction": decision.correction})
            for content, decision in self.decisions.items()
            if decision.correction is not None
        }


EMPTY = Reviewed([], {}, frozenset(), {}, {})


def version_for(store: str, run_id: str) -> TableReference | None:
    """The version of `reviews` that a run goes by: the one its import recorded, so that a retry sees the same.

    Returns:
        The version; the newest one when the run imported nothing, None when the store has no reviews.
    """
    for record in lineage.steps(store, run_id):
        if record.step == IMPORT_STEP:
            return TableReference.model_validate(record.details["reviews"])
    return delta_table.latest(store, "reviews") if delta_table.exists(store, "reviews") else None


def read(reference: TableReference | None) -> Reviewed:
    """Read the reviews of a version.

    Args:
        reference: Version of `reviews`; None for none.

    Raises:
        StoreError: A table cannot be read.
    """
    if reference is None or not delta_table.exists(reference.store, "candidates"):
        return EMPTY
    rows = delta_table.read(reference).to_pylist()
    ids = sorted({row["candidate_id"] for row in rows})
    known = delta_table.lookup(delta_table.latest(reference.store, "candidates"), ids, _COLUMNS).to_pylist()
    content_of = {row["candidate_id"]: contents.of_row(row) for row in known}
    candidates: dict[str, dict[str, Any]] = {}
    for row in sorted(known, key=lambda row: (row["run_id"], row["candidate_id"])):
        candidates[content_of[row["candidate_id"]]] = row
    answers: list[Answer] = []
    audited: set[str] = set()
    requested: dict[str, datetime] = {}
    for row in sorted(rows, key=lambda row: (row["timestamp"], row["review_id"])):
        content = content_of.get(row["candidate_id"])
        if content is None:  # erased with its user
            continue
        if row["verdict"] == REQUESTED:
            requested.setdefault(content, row["timestamp"])
            if row["note"] == AUDIT:
                audited.add(content)
        else:
            answers.append(_answer(row, content))
    return Reviewed(answers, decide(answers), frozenset(audited), requested, candidates)


def _answer(row: Mapping[str, Any], content: str) -> Answer:
    return Answer(
        content=content,
        reviewer=row["reviewer"],
        at=row["timestamp"],
        verdict=row["verdict"],
        category=row["category"],
        correction=row["correction"],
        review_id=row["review_id"],
    )

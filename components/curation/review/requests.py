"""What people are asked: the audit sample first, then what the router sent to review."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from flywheel.components.curation.guards.coalition import UNCONFIRMED
from flywheel.components.curation.review import contents
from flywheel.components.curation.review.decisions import ACCEPT, REJECT, REQUESTED
from flywheel.components.curation.review.reviewed import AUDIT, Reviewed
from flywheel.components.curation.routing import audit
from flywheel.components.store.tables import SCHEMAS, row_id


@dataclass(frozen=True)
class Request:
    """A candidate that somebody should look at.

    Attributes:
        candidate: Row of the table `candidates`.
        content: What it says (`contents`).
        reason: `audit`, or why the router sent it to review.
        sides: What users say about the same question, and how many, when they do not agree; else "".
    """

    candidate: Mapping[str, Any]
    content: str
    reason: str
    sides: str = ""

    @property
    def because(self) -> str:
        """The reason for the person who is asked, with both sides of a conflict."""
        return f"{self.reason}: {self.sides}" if self.sides else self.reason


def requests_of(
    candidates: Sequence[Mapping[str, Any]],
    reviewed: Reviewed,
    limit: int = 0,
    asked: Mapping[str, int] | None = None,
) -> list[Request]:
    """Choose what to ask; the router accepts audited candidates meanwhile, and the answer holds from the next run on.

    Args:
        candidates: The run's candidates.
        reviewed: What people said already; contents with a decision are not asked for again, ties are.
        limit: Most requests, 0 for no limit.
        asked: Of the claims that are `unconfirmed` the candidate that stands for each, with the number of users who
            say so (`router.Routed.asked`); the others say the same, and are not asked for. None: all are.

    Returns:
        The audit sample first, then the unconfirmed claims, those of most users first because they let in most, then
        the rest. Audit and rest are in random order by content, so that whoever stops early leaves a random part.
    """
    named = [(row, contents.of_row(row)) for row in candidates]
    open_ = [(row, content) for row, content in named if not _settled(reviewed, content)]
    rows, ids = [row for row, _ in open_], [content for _, content in open_]
    chances = [audit.chance(content) for content in ids]
    drawn = audit.sample(rows, chances)
    taken = set(drawn)
    rest = [
        index
        for index, row in enumerate(rows)
        if row["route"] == "review"
        and index not in taken
        and (asked is None or row["reason"] != UNCONFIRMED or row["candidate_id"] in asked)
    ]
    users = asked or {}
    rest.sort(key=lambda index: (-users.get(rows[index]["candidate_id"], 0), chances[index]))
    chosen = [Request(rows[index], ids[index], AUDIT) for index in drawn]
    chosen += [Request(rows[index], ids[index], rows[index]["reason"]) for index in rest]
    return chosen[:limit] if limit else chosen


def request_rows(requests: Sequence[Request], at: datetime) -> pa.Table:
    """The requests as rows of the table `reviews`: verdict `requested`, no reviewer, the reason as note."""
    rows = [
        {
            "review_id": row_id("request", request.candidate["candidate_id"], request.reason),
            "candidate_id": request.candidate["candidate_id"],
            "reviewer": "",
            "timestamp": at,
            "category": request.candidate["category"],
            "verdict": REQUESTED,
            "note": request.reason,
            "correction": None,
            "source": "router",
        }
        for request in requests
    ]
    return pa.Table.from_pylist(rows, SCHEMAS["reviews"])


def _settled(reviewed: Reviewed, content: str) -> bool:
    decision = reviewed.decisions.get(content)
    return decision is not None and decision.verdict in (ACCEPT, REJECT)

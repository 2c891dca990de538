"""Feedback that may be poison: what the curation guard held back, and what reviewers rejected.

The guard keeps such corrections from training (`curation.poison_guard`), but it knows only this log: part of a
campaign may have come in under its threshold, in older data, or in the base model. So the entities that the suspects
aim at are asked about once more, of both models.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flywheel.components.contracts.feedback import Message

FALSE_CLAIM = ("coordinated", "contradicted")
"""Reasons of the guard that hold the claim to be false: pushed by a group, or outvoted by more than two to one."""

UNDECIDED = ("conflicting",)
"""Reasons of the guard that leave open which of several answers is right."""

_REJECTED = frozenset({"reject", "rejected", "discard", "discarded"})
_ACCEPTED = frozenset({"accept", "accepted", "approve", "approved"})


@dataclass(frozen=True)
class Suspect:
    """A correction that may be poison.

    Attributes:
        candidate_id: Its row in the store.
        messages: The conversation up to the question.
        response: The answer that was corrected.
        correction: What it was to be corrected to.
        reason: Why it is suspected: a reason code of the guard, or `rejected_in_review`.
        false: Whether the claim is held to be false; an undecided one may be true.
    """

    candidate_id: str
    messages: tuple[Message, ...]
    response: str
    correction: str
    reason: str
    false: bool


def read_suspects(store: str, run_id: str) -> list[Suspect]:
    """Read the suspects among a run's candidates.

    The newest review of a candidate overrules the guard: accepted ones are no suspects, rejected ones are, whatever
    the reason was.

    Args:
        store: URI of the feedback store.
        run_id: Run whose curation is meant; each run curates the whole log again, so older campaigns are in it.

    Returns:
        Suspects by candidate id; none when the run curated nothing.

    Raises:
        StoreError: The store cannot be read.
    """
    import pyarrow.compute as pc

    from flywheel.components.store import delta_table

    if not delta_table.exists(store, "candidates"):
        return []
    table = delta_table.latest(store, "candidates")
    columns = ["candidate_id", "messages", "response", "correction", "category", "reason"]
    rows = delta_table.read(table, columns, pc.field("run_id") == run_id).to_pylist()
    reviews = _reviews(store) if delta_table.exists(store, "reviews") else {}
    # what people said of an earlier run's candidate, curation has applied to this run's
    said = {row["candidate_id"]: "reject" for row in rows if row["reason"] == "rejected_in_review"} | reviews
    found = [suspect for row in rows if (suspect := _suspect(row, said.get(row["candidate_id"], "")))]
    return sorted(found, key=lambda suspect: suspect.candidate_id)


def _reviews(store: str) -> dict[str, str]:
    """The newest review's verdict by candidate."""
    from flywheel.components.store import delta_table

    rows = delta_table.read(delta_table.latest(store, "reviews")).to_pylist()
    given = [row for row in rows if row["verdict"] not in ("requested", "withdrawn")]
    ordered = sorted(given, key=lambda row: (row["timestamp"], row["review_id"]))
    return {row["candidate_id"]: row["verdict"].strip().casefold() for row in ordered}


def _suspect(row: Mapping[str, Any], review: str) -> Suspect | None:
    guarded = row["reason"] in FALSE_CLAIM + UNDECIDED
    if review in _ACCEPTED or not (guarded or (review in _REJECTED and row["category"] == "factual")):
        return None
    return Suspect(
        candidate_id=row["candidate_id"],
        messages=tuple(Message.model_validate(message) for message in json.loads(row["messages"])),
        response=row["response"],
        correction=row["correction"],
        reason=row["reason"] if guarded else "rejected_in_review",
        false=row["reason"] in FALSE_CLAIM or review in _REJECTED,
    )

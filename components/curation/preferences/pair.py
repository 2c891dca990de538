"""A preference pair with its evidence, and the table of pairs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from flywheel.components.store.tables import row_id

CORRECTION, VOTES, CONCISE = "correction", "votes", "concise"
RANK = {CONCISE: 1, VOTES: 2, CORRECTION: 3}  # what outranks what where pairs contradict each other

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
SCHEMA = pa.schema(
    [
        ("pair_id", pa.string()),
        ("prompt", MESSAGES),
        ("chosen", pa.string()),
        ("rejected", pa.string()),
        ("evidence", pa.string()),  # correction, votes or concise
        ("because", pa.string()),  # the evidence in words
        ("evidence_ids", pa.list_(pa.string())),  # feedback rows that it rests on, sorted
        ("support", pa.int64()),  # distinct subjects behind it
        ("candidate_id", pa.string()),  # "" unless a correction
        ("group_id", pa.string()),  # near-duplicate group of the prompt: the unit of leak-proof splits
        ("weight", pa.float64()),  # belief that the preference is right, in (0, 1]
    ]
)
Messages = list[dict[str, str]]


@dataclass
class Pair:
    """Of two answers to one question, the one that is preferred.

    Attributes:
        prompt: Messages up to the question.
        chosen: Preferred answer.
        rejected: The other.
        better: Number of the normal form of the preferred answer.
        worse: Number of that of the other.
        evidence: "correction", "votes" or "concise".
        because: The evidence in words.
        weight: Belief that the preference is right, in (0, 1].
        subjects: Who stands behind it.
        evidence_ids: Feedback rows that it rests on.
        at: Time of the earliest evidence.
        candidate_id: Candidate, for a correction.
        group_id: Near-duplicate group; set when the pair is found to lie in one.
    """

    prompt: Messages
    chosen: str
    rejected: str
    better: int
    worse: int
    evidence: str
    because: str
    weight: float
    subjects: frozenset[str]
    evidence_ids: frozenset[str]
    at: datetime | None
    candidate_id: str = ""
    group_id: str = ""

    @property
    def pair_id(self) -> str:
        """Content id: the same prompt and answers have the same one in every run."""
        return row_id(*(text for turn in self.prompt for text in turn.values()), self.chosen, self.rejected)

    def to_row(self) -> dict[str, Any]:
        """Row of the table, with the `subjects` where the table has how many they are."""
        return {
            "pair_id": self.pair_id,
            "prompt": self.prompt,
            "chosen": self.chosen,
            "rejected": self.rejected,
            "evidence": self.evidence,
            "because": self.because,
            "evidence_ids": sorted(self.evidence_ids),
            "subjects": sorted(self.subjects),
            "candidate_id": self.candidate_id,
            "group_id": self.group_id,
            "weight": self.weight,
        }

"""Collect corrections: feedback rows of kind correction joined to the interactions that they correct."""

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

SCHEMA = pa.schema(
    [
        ("interaction_id", pa.string()),
        ("subject", pa.string()),
        ("timestamp", pa.timestamp("us", "UTC")),
        ("messages", pa.string()),
        ("context", pa.string()),
        ("prompt", pa.string()),
        ("response", pa.string()),
        ("correction", pa.string()),
        ("comment", pa.string()),
        ("language", pa.string()),
        ("source", pa.string()),
    ]
)
_OF_INTERACTION = ("interaction_id", "messages", "prompt", "response", "language")
_ROWS = 2048
# To a question that can be answered with no, "No, ..." is an answer; to any other it is a remark to the assistant.
_DENIAL = re.compile(r"^(?:no|nope|nah)\s*[,:;.!—–-]+\s*", re.IGNORECASE)
_YES_OR_NO = re.compile(
    r"(?:^|[,.;!?]\s*)(?:is|are|am|was|were|do|does|did|can|could|will|would|shall|should|may|must|has|have|had|isn't|"
    r"aren't|doesn't|don't|can't)\b",
    re.IGNORECASE,
)
# What a person says to the assistant before the answer itself; a model must not learn to say it to its users.
_LEAD_IN = re.compile(
    r"^(?:(?:wrong|incorrect|not (?:right|correct)|actually|correction|edit|fix(?:ed)?|hmm|"
    r"(?:that|this|it)(?:'s| is) (?:wrong|incorrect|outdated|not (?:right|true|correct)))"
    r"\s*[,:;.!—–-]+\s*|(?:the )?(?:correct|right|better|proper) (?:answer|response|reply) "
    r"(?:is|would be|should be)\s*:?\s+|"
    r"(?:the )?(?:answer|response|reply|it) should (?:be|say|read|have been)\s*:?\s+|should (?:be|say|read)\s*:?\s+)+",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Collected:
    """Candidate rows and where every other correction went.

    Attributes:
        rows: One row per corrected interaction and subject, schema `SCHEMA`, ordered by time, then id.
        corrections: Correction rows read.
        orphans: Corrections of interactions that the log does not hold (yet).
        superseded: Earlier corrections that the same subject replaced by a later one of the same interaction.
        without_consent: Corrections of interactions whose user did not agree to training.
        not_candidates: Interactions nobody corrected.
        lead_ins: Corrections whose opening remark to the assistant ("No, ...") was taken off.
    """

    rows: pa.Table
    corrections: int
    orphans: int
    superseded: int
    without_consent: int
    not_candidates: int
    lead_ins: int
    quarantined: dict[str, int] = field(default_factory=dict)


def answer_text(correction: str, prompt: str = "") -> tuple[str, bool]:
    """Take the opening remark to the assistant off a correction: "Wrong, it is 36 months" becomes "It is 36 months".

    Args:
        correction: What the user wrote.
        prompt: The question; "No, ..." stays when it can be answered with no.

    Returns:
        The answer and whether something was taken off; the text itself when nothing would be left.
    """
    text = correction.strip()
    rest = text if _YES_OR_NO.search(prompt) else _DENIAL.sub("", text)
    rest = _LEAD_IN.sub("", rest).strip()
    if not rest or rest == text:
        return text, False
    return rest[0].upper() + rest[1:], True


def context_of(messages: str) -> str:
    """What was said before the last user message, system prompts left out; "" for a single turn or broken JSON."""
    try:
        turns = json.loads(messages)
    except ValueError:
        return ""
    turns = [turn for turn in turns if isinstance(turn, dict)] if isinstance(turns, list) else []
    last = max((i for i, turn in enumerate(turns) if turn.get("role") == "user"), default=0)
    return "\n".join(str(turn.get("content", "")) for turn in turns[:last] if turn.get("role") in ("user", "assistant"))


def collect(interactions: pa.Table, feedback: pa.Table, total: int | None = None) -> Collected:
    """Join corrections to their interactions; the latest correction of a subject about an interaction wins.

    Comments by the same subject about the same interaction are joined to the row. Ties in time go to the higher
    feedback id, so that the result does not depend on the order of rows.

    Args:
        interactions: Rows of the store's `interactions` table; those that nobody corrected may be left out.
        feedback: Rows of the store's `feedback` table, every kind.
        total: Interactions in the log; None: those given.
    """
    kinds = feedback.filter(pc.is_in(feedback["kind"], pa.array(["correction", "comment"], pa.string()))).to_pylist()
    comments: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in sorted(kinds, key=lambda row: (row["timestamp"], row["feedback_id"])):
        if row["kind"] == "comment" and row["text"]:
            comments[row["interaction_id"], row["subject"]].append(row["text"])
    corrections = [row for row in kinds if row["kind"] == "correction"]
    wanted = pa.array(sorted({row["interaction_id"] for row in corrections}), pa.string())
    known = interactions.filter(pc.is_in(interactions["interaction_id"], wanted))
    place = {name: number for number, name in enumerate(known["interaction_id"].to_pylist())}
    consent = known["consent"].to_pylist()
    latest: dict[tuple[str, str], dict[str, Any]] = {}
    orphans = without_consent = superseded = 0
    for row in sorted(corrections, key=lambda row: (row["timestamp"], row["feedback_id"])):
        if row["interaction_id"] not in place:
            orphans += 1
        elif consent[place[row["interaction_id"]]] is False:
            without_consent += 1
        else:
            key = (row["interaction_id"], row["subject"])
            superseded += key in latest
            latest[key] = row
    winners = sorted(latest.values(), key=lambda row: (row["timestamp"], row["interaction_id"], row["subject"]))
    parts, lead_ins = [SCHEMA.empty_table()], 0
    for start in range(0, len(winners), _ROWS):  # few at a time as Python's objects, which take several times the room
        chosen = winners[start : start + _ROWS]
        about = known.take([place[row["interaction_id"]] for row in chosen]).to_pylist()
        rows = []
        for row, interaction in zip(chosen, about, strict=True):
            correction, stripped = answer_text(row["text"] or "", interaction["prompt"])
            lead_ins += stripped
            rows.append(
                {name: interaction.get(name) for name in _OF_INTERACTION}
                | {
                    "subject": row["subject"],
                    "timestamp": row["timestamp"],
                    "context": context_of(interaction["messages"]),
                    "correction": correction,
                    "comment": " ".join(comments[row["interaction_id"], row["subject"]]),
                    "source": row["source"],
                }
            )
        parts.append(pa.Table.from_pylist(rows, schema=SCHEMA))
    quarantined = {"orphan": orphans, "superseded": superseded, "no_consent": without_consent}
    return Collected(
        rows=pa.concat_tables(parts),
        corrections=len(corrections),
        orphans=orphans,
        superseded=superseded,
        without_consent=without_consent,
        not_candidates=(interactions.num_rows if total is None else total) - len(place),
        lead_ins=lead_ins,
        quarantined={reason: count for reason, count in quarantined.items() if count},
    )

"""The rows that joining adds to the feedback table; their ids come from all that they say."""

import json
from typing import Any

from flywheel.components.contracts.feedback import JOINED_SOURCE, Annotator, SignalKind
from flywheel.components.intake.joining.dialogues import Turn
from flywheel.components.intake.joining.mining import Signal
from flywheel.components.intake.joining.next_turn import VERSION
from flywheel.components.store.tables import row_id


def of_signal(signal: Signal, confidence: float, run_id: str) -> dict[str, Any]:
    """The row of a mined signal: implicit, made by code, its value the confidence of its rule."""
    mined, turn = signal.mined, signal.turn
    about = {"rule": mined.rule, "version": VERSION, "confidence": confidence}
    if signal.following:
        about["next"] = signal.following
    if not turn.stored:
        about["record"] = turn.record  # the interaction in whose messages the turn stands
    return {
        "feedback_id": row_id("mined", turn.turn_id, mined.name, mined.text, signal.at.isoformat(), *about.values()),
        "interaction_id": turn.turn_id,
        "subject": turn.subject,
        "timestamp": signal.at,
        "kind": SignalKind.IMPLICIT.value,
        "annotator": Annotator.CODE.value,
        "name": mined.name,
        "value": confidence,
        "text": mined.text,
        "source": JOINED_SOURCE,
        "run_id": run_id,
        "attributes": json.dumps({"joining": about}, ensure_ascii=False),
    }


def of_placed(row: dict[str, Any], turn: Turn, confidence: float, answers: int, run_id: str) -> dict[str, Any]:
    """The row of feedback that named a conversation only.

    Args:
        row: The feedback as it came.
        turn: The answer that it is taken to be about.
        confidence: Chance that it is; 1 keeps the feedback's kind and voice, less makes it an implicit sign.
        answers: Answers that it may have been about.
        run_id: Run that writes.
    """
    sure = confidence == 1.0 and answers == 1
    about = {"from": row["feedback_id"], "rule": "turn_named" if "turn" in row else "last_answer",
             "version": VERSION, "confidence": confidence, "answers": answers, "source": row["source"]}  # fmt: skip
    if not sure:
        about["said"] = row["value"]
    return {
        "feedback_id": row_id("placed", turn.turn_id, *about.values()),
        "interaction_id": turn.turn_id,
        "subject": turn.subject if row.get("anonymous") else row["subject"],
        "timestamp": row["timestamp"],
        "kind": row["kind"] if sure else SignalKind.IMPLICIT.value,
        "annotator": row["annotator"] if sure else Annotator.CODE.value,
        "name": row["name"] if sure else f"conversation_{row['kind']}",
        "value": row["value"] if sure else confidence,
        "text": row["text"],
        "source": JOINED_SOURCE,
        "run_id": run_id,
        "attributes": json.dumps({"joining": about}, ensure_ascii=False),
    }

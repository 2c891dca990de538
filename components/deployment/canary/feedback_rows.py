"""The canary's turns as rows of the feedback store: the next turn of the flywheel starts from them."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa

from flywheel.components.contracts.feedback import SIMULATED_SOURCE
from flywheel.components.contracts.rollout import UserQuestion
from flywheel.components.deployment.canary.turn import Turn
from flywheel.components.intake.privacy.scrub import scrub_texts
from flywheel.components.intake.pseudonyms import for_store
from flywheel.components.store import delta_table
from flywheel.components.store.tables import SCHEMAS, row_id

_PSEUDONYM = re.compile(r"[0-9a-f]{32}(?:-[0-9a-f]{8})?")  # users replayed from the store have theirs already
_SIMULATED = {"simulated": True}  # these users' reactions were drawn, not observed


def write(store: str, run_id: str, turns: Sequence[Turn], visits: dict[str, list[UserQuestion]]) -> int:
    """Write turns and signals into the tables `interactions` and `feedback`; again changes nothing.

    All text goes through the scrubber, and users become pseudonyms, before anything is written.

    Args:
        store: URI of the feedback store.
        run_id: Run; ids derive from it.
        turns: The turns.
        visits: The users' questions.

    Returns:
        New feedback rows.
    """
    if not turns:
        return 0
    questions = [list(visits[turn.subject][turn.number].messages) for turn in turns]
    clean = _scrubbed(turns, questions)
    pseudonyms = for_store(store)
    names = {
        subject: pseudonyms.newest(subject)
        if _PSEUDONYM.fullmatch(subject)
        else pseudonyms.of("subject", f"user:{subject}")
        for subject in {turn.subject for turn in turns}
    }
    interactions: list[dict[str, Any]] = []
    feedback: list[dict[str, Any]] = []
    for turn, texts, messages in zip(turns, clean, questions, strict=True):
        base = {
            "interaction_id": row_id(SIMULATED_SOURCE, run_id, names[turn.subject], turn.number),
            "subject": names[turn.subject],
            "timestamp": datetime.fromisoformat(turn.time) if turn.time else datetime.now(UTC),
            "source": SIMULATED_SOURCE,
            "run_id": run_id,
        }
        contents = texts[3:]
        shown = [{"role": m["role"], "content": text} for m, text in zip(messages, contents, strict=True)]
        asked = [message["content"] for message in shown if message["role"] == "user"]
        interactions.append(
            base
            | {
                "conversation_id": row_id(SIMULATED_SOURCE, run_id, names[turn.subject]),
                "model_version": turn.digest,
                "messages": orjson.dumps(shown).decode(),
                "prompt": asked[-1] if asked else "",
                "response": texts[0],
                "language": "und",  # BCP 47: undetermined
                "consent": True,
                "attributes": orjson.dumps(
                    _SIMULATED | {"arm": turn.arm, "share": turn.share, "status": turn.status}
                ).decode(),
            }
        )
        for kind, annotator, name, value, text in _signals(turn, texts):
            feedback.append(
                base
                | {
                    "feedback_id": row_id(SIMULATED_SOURCE, run_id, names[turn.subject], turn.number, kind, name),
                    "kind": kind,
                    "annotator": annotator,
                    "name": name,
                    "value": value,
                    "text": text,
                    "attributes": orjson.dumps(_SIMULATED).decode(),
                }
            )
    batch = f"{SIMULATED_SOURCE}:{run_id}"
    delta_table.append(store, "interactions", pa.Table.from_pylist(interactions, SCHEMAS["interactions"]), batch)
    done = delta_table.append(store, "feedback", pa.Table.from_pylist(feedback, SCHEMAS["feedback"]), batch)
    return done.inserted


def _signals(turn: Turn, texts: Sequence[str]) -> list[tuple[str, str, str, float | None, str | None]]:
    rows: list[tuple[str, str, str, float | None, str | None]] = [
        ("automated", "code", "latency_ms", turn.latency_ms, None)
    ]
    if turn.tokens is not None:
        rows.append(("automated", "code", "tokens", float(turn.tokens), None))
    if turn.error:
        rows.append(("automated", "code", "error", 1.0, f"HTTP {turn.status}"))
    if turn.rating is not None:
        rows.append(("rating", "user", "rating", float(turn.rating), None))
    if turn.correction is not None:
        rows.append(("correction", "user", "correction", None, texts[1]))
    if turn.comment is not None:
        rows.append(("comment", "user", "comment", None, texts[2]))
    rows.extend(("implicit", "user", name, 1.0, None) for name in turn.implicit)
    return rows


def _scrubbed(turns: Sequence[Turn], questions: Sequence[Sequence[dict[str, str]]]) -> list[list[str]]:
    """Scrub response, correction, comment and messages of each turn, in this order."""
    texts: list[str] = []
    groups: list[int] = []
    for number, (turn, messages) in enumerate(zip(turns, questions, strict=True)):
        own = [turn.response, turn.correction or "", turn.comment or "", *(m["content"] for m in messages)]
        texts.extend(own)
        groups.extend([number] * len(own))
    clean: list[list[str]] = [[] for _ in turns]
    for number, text in zip(groups, scrub_texts(texts, groups).texts, strict=True):
        clean[number].append(text)
    return clean

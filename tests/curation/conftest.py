"""Builders of feedback for the tests of curation."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from flywheel.components.contracts.tables import FeedbackSnapshot
from flywheel.components.curation.duplicates.deduplication import SCHEMA
from flywheel.components.store import delta_table
from flywheel.components.store.tables import SCHEMAS, row_id

START = datetime(2026, 3, 1, tzinfo=UTC)


class FeedbackLog:
    """A feedback log under construction."""

    def __init__(self) -> None:
        self.interactions: list[dict[str, Any]] = []
        self.feedback: list[dict[str, Any]] = []

    def ask(
        self,
        subject: str,
        prompt: str,
        response: str,
        hours: float = 0.0,
        consent: bool = True,
        before: tuple[str, ...] = (),
    ) -> str:
        """Add an interaction; returns its id."""
        name = f"i{len(self.interactions):05d}"
        turns = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate((*before, prompt))]
        self.interactions.append(
            dict.fromkeys(SCHEMAS["interactions"].names, "")
            | {
                "interaction_id": name,
                "subject": subject,
                "timestamp": START + timedelta(hours=hours),
                "messages": json.dumps(turns),
                "prompt": prompt,
                "response": response,
                "consent": consent,
            }
        )
        return name

    def say(self, interaction: str, subject: str, kind: str, text: str | None = None, value: float | None = None,
            hours: float = 0.0) -> None:  # fmt: skip
        """Add a feedback row."""
        self.feedback.append(
            dict.fromkeys(SCHEMAS["feedback"].names, "")
            | {
                "feedback_id": row_id(len(self.feedback), interaction, subject, kind),
                "interaction_id": interaction,
                "subject": subject,
                "timestamp": START + timedelta(hours=hours),
                "kind": kind,
                "annotator": "user",
                "name": kind,
                "value": value,
                "text": text,
            }
        )

    def correct(self, subject: str, prompt: str, response: str, correction: str, hours: float = 0.0) -> str:
        """Add an interaction and its correction by the same subject."""
        interaction = self.ask(subject, prompt, response, hours)
        self.say(interaction, subject, "correction", correction, hours=hours)
        return interaction

    def tables(self) -> tuple[pa.Table, pa.Table]:
        """Interactions and feedback as the store returns them."""
        return (
            pa.Table.from_pylist(self.interactions, SCHEMAS["interactions"]),
            pa.Table.from_pylist(self.feedback, SCHEMAS["feedback"]),
        )

    def save(self, folder: Path) -> tuple[str, str]:
        """Write to a store; returns the store and the path of the snapshot."""
        store = str(folder / "store")
        interactions, feedback = self.tables()
        left = delta_table.append(store, "interactions", interactions, "test").reference
        right = delta_table.append(store, "feedback", feedback, "test").reference
        path = folder / "feedback.json"
        FeedbackSnapshot(interactions=left, feedback=right).write(path)
        return store, str(path)


@pytest.fixture
def log() -> FeedbackLog:
    return FeedbackLog()


@pytest.fixture
def candidate() -> Callable[..., dict[str, Any]]:
    """Build a deduplicated, classified row."""
    made: list[str] = []

    def build(claim: tuple[str, ...] = ("36",), by: tuple[str, ...] = ("u1",), hours: float = 0.0, other: int = 5,
              question: str = "q", **more: Any) -> dict[str, Any]:  # fmt: skip
        made.append(f"i{len(made):05d}")
        at = START + timedelta(hours=hours)
        row: dict[str, Any] = dict.fromkeys(SCHEMA.names, "")
        return (
            row
            | {
                "interaction_id": made[-1],
                "subject": by[0],
                "timestamp": at,
                "messages": "[]",
                "prompt": "How long is the warranty of the Borel 7?",
                "response": "The Borel 7 has a warranty of 24 months.",
                "correction": f"The Borel 7 has a warranty of {' '.join(claim)} months.",
                "question_id": question,
                "claim": list(claim),
                "support": len(by),
                "supporters": list(by),
                "supported_at": [at] * len(by),
                "supporter_records": [1] * len(by),
                "supporter_activity": [1 + other] * len(by),
                "endorsers": [],
                "askers": len(by),
                "silent_since": 0,
                "category": "factual",
                "confidence": 0.95,
            }
            | more
        )

    return build

"""Answers rated up as guard and rehearsal."""

import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from flywheel.components.contracts.feedback import SIMULATED_SOURCE
from flywheel.components.contracts.tables import CandidateSnapshot
from flywheel.components.dataset import liked_answers
from flywheel.components.store import delta_table
from flywheel.components.store.tables import SCHEMAS

AT = datetime(2026, 11, 1, tzinfo=UTC)


def rated(store, answers):
    """Write (id, question, answer, rating, source) rows."""
    interactions, feedback = [], []
    for name, question, answer, rating, source in answers:
        base = {
            "interaction_id": name,
            "subject": "s",
            "timestamp": AT,
            "source": source,
            "run_id": "r",
            "attributes": "{}",
        }
        messages = json.dumps([{"role": "user", "content": question}])
        interactions.append(
            base
            | {
                "conversation_id": name,
                "model_version": "1",
                "messages": messages,
                "prompt": question,
                "response": answer,
                "language": "en",
                "consent": True,
            }
        )
        feedback.append(
            base
            | {
                "feedback_id": f"f{name}",
                "kind": "rating",
                "annotator": "user",
                "name": "rating",
                "value": float(rating),
                "text": None,
            }
        )
    delta_table.append(store, "interactions", pa.Table.from_pylist(interactions, SCHEMAS["interactions"]), "b")
    delta_table.append(store, "feedback", pa.Table.from_pylist(feedback, SCHEMAS["feedback"]), "b")
    return CandidateSnapshot(candidates=delta_table.latest(store, "candidates"), run_id="r")


@pytest.fixture
def store(tmp_path):
    return str(tmp_path / "store")


def test_only_agreed_and_uncorrected_answers_count(store):
    snapshot = rated(store, [
        ("1", "How far is it?", "Ten miles.", 1, "log"),
        ("2", "how far is it", "ten miles", 1, "log"),
        ("3", "What is the price?", "Nine euros.", 1, "log"),
        ("4", "What is the price?", "Eight euros.", 1, "log"),  # two liked answers: nobody knows
        ("5", "Which colour?", "Red.", 1, "log"),
        ("6", "Which colour?", "Red.", -1, "log"),  # rated down too
        ("7", "How heavy?", "Two kilos.", 1, "log"),  # corrected by somebody
        ("8", "How long?", "A year.", 1, SIMULATED_SOURCE),
        ("9", "How old?", "A day.", 0, "log"),
    ])  # fmt: skip
    corrected = {liked_answers.prompt_key(liked_answers.parse_messages("How heavy?"))}
    rows = liked_answers.read_liked(snapshot, corrected)
    assert [(row.messages[0].content.lower().rstrip("?"), row.completion.lower().rstrip(".")) for row in rows] == [
        ("how far is it", "ten miles")
    ]


def test_guard_and_rehearsal_never_share_a_question(store):
    snapshot = rated(store, [(str(n), f"What is item {n}?", f"It is thing {n}.", 1, "log") for n in range(200)])
    guards, rehearsal = liked_answers.divide(liked_answers.read_liked(snapshot, ()), seed=7)
    assert len(guards) + len(rehearsal) == 200
    assert 70 < len(guards) < 130
    assert not {row.key for row in guards} & {row.key for row in rehearsal}
    again, _ = liked_answers.divide(guards, seed=7)
    assert again == guards, "what guards in one turn guards in the next"


def test_assembly_without_golden_and_replay_uses_them(world):
    rated(world.store, [(f"l{n}", f"What is item {n}?", f"It is thing {n}.", 1, "log") for n in range(120)])
    done = world.assemble([world.candidate(n, f"Where is place {n}?", f"It is in town {n}.") for n in range(40)])
    assert done.manifest.sources["replay"] > 20
    assert done.metrics["items_untouched"] > 30
    assert done.metrics["leaked_rows_after"] == 0

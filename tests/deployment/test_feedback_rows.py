import json
from pathlib import Path

import pytest

from flywheel.components.contracts.rollout import UserQuestion
from flywheel.components.deployment.canary import feedback_rows
from flywheel.components.deployment.canary.turn import Turn
from flywheel.components.deployment.users import replayed_users
from flywheel.components.store import delta_table


def turns() -> list[Turn]:
    fields = {"arm": "candidate", "status": 200, "latency_ms": 12.5, "digest": "d" * 64, "share": 0.5}
    return [
        Turn.model_validate(
            {"subject": "anna@example.org", "number": 0, "asked_at": 0, "response": "Write to bob@example.org.", "rating": -1,
             "comment": "Call me at bob@example.org", **fields}
        ),
        Turn.model_validate(
            {"subject": "0123456789abcdef0123456789abcdef", "number": 0, "asked_at": 1, "response": "It costs 11.",
             "correction": "It costs 12.", "implicit": ("rephrase",), **fields}
        ),
        Turn.model_validate({"subject": "carl", "number": 0, "asked_at": 2, **fields, "status": 502}),
    ]  # fmt: skip


VISITS = {
    turn.subject: [UserQuestion(subject=turn.subject, messages=({"role": "user", "content": "I am anna@example.org"},))]
    for turn in turns()
}


def test_rows_are_scrubbed_pseudonymous_and_written_once(tmp_path: Path) -> None:
    store = str(tmp_path)
    assert feedback_rows.write(store, "run-1", turns(), VISITS) == 8
    assert feedback_rows.write(store, "run-1", turns(), VISITS) == 0
    interactions = delta_table.read(delta_table.latest(store, "interactions"))
    feedback = delta_table.read(delta_table.latest(store, "feedback"))
    assert interactions.num_rows == 3
    text = str(interactions.drop_columns(["timestamp"]).to_pydict()) + str(
        feedback.drop_columns(["timestamp"]).to_pydict()
    )
    assert "example.org" not in text
    assert "carl" not in text
    assert "0123456789abcdef0123456789abcdef" in interactions["subject"].to_pylist()  # a pseudonym stays what it is
    assert set(feedback["interaction_id"].to_pylist()) == set(interactions["interaction_id"].to_pylist())
    assert sorted(feedback["name"].to_pylist()) == sorted(
        ["latency_ms"] * 3 + ["error", "rating", "comment", "correction", "rephrase"]
    )
    assert all(json.loads(row)["simulated"] for row in feedback["attributes"].to_pylist())


def test_an_empty_canary_writes_nothing(tmp_path: Path) -> None:
    assert feedback_rows.write(str(tmp_path), "run-1", [], {}) == 0
    assert list(tmp_path.iterdir()) == []


def test_simulated_users_are_never_replayed(tmp_path: Path) -> None:
    feedback_rows.write(str(tmp_path), "run-1", turns(), VISITS)
    with pytest.raises(ValueError, match="no traffic for the canary"):
        replayed_users.write_traffic("", str(tmp_path), "run-2", tmp_path / "traffic.jsonl")

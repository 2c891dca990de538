"""Votes are read from the log in batches, and are the same as when all of it is looked at together."""

import random
from itertools import chain

import pytest

from flywheel.components.contracts.tables import FeedbackSnapshot
from flywheel.components.curation.stages.votes import rated_batches
from flywheel.components.store import observed
from tests.curation.conftest import FeedbackLog


def random_log(seed: int) -> FeedbackLog:
    """Users rate each other's interactions several times, some at one moment, some without a value."""
    draw, log = random.Random(seed), FeedbackLog()
    users = [f"u{number}" for number in range(5)]
    asked = [log.ask(draw.choice(users), f"Q{n}?", f"A{n}", n, consent=draw.random() < 0.9) for n in range(30)]
    for _ in range(150):
        kind, value = draw.choice(["rating", "rating", "automated"]), draw.choice([-1.0, 0.0, 1.0, 0.5, None])
        where = draw.choice([*asked[:20], "unknown"])
        log.say(where, draw.choice(users), kind, value=value, hours=draw.randrange(4))
    return log


def expected(log: FeedbackLog) -> dict[str, dict[str, list[str]]]:
    """One rating after the other, as they were given."""
    last: dict[tuple[str, str], dict] = {}
    for row in sorted(log.feedback, key=lambda row: (row["timestamp"], row["feedback_id"])):
        if row["kind"] == "rating":
            last[row["interaction_id"], row["subject"]] = row
    found = {}
    for one in log.interactions:
        about = [row for row in last.values() if row["interaction_id"] == one["interaction_id"] and row["value"]]
        if about and one["consent"]:
            found[one["interaction_id"]] = {
                "up_by": sorted(row["subject"] for row in about if row["value"] > 0),
                "down_by": sorted(row["subject"] for row in about if row["value"] < 0),
                "rating_ids": sorted(row["feedback_id"] for row in about),
            }
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_last_rating_of_each_user_counts_however_the_log_is_cut(seed, tmp_path, monkeypatch):
    log = random_log(seed)
    snapshot = FeedbackSnapshot.read(log.save(tmp_path)[1])
    whole = observed.batches
    monkeypatch.setattr(
        observed, "batches", lambda *a: (batch.slice(n, 7) for batch in whole(*a) for n in range(0, len(batch), 7))
    )
    rows = list(chain.from_iterable(rated_batches(snapshot, ["prompt"])))
    said = {row["interaction_id"]: {name: row[name] for name in ("up_by", "down_by", "rating_ids")} for row in rows}
    assert said == expected(log) and len(rows) == len(said) > 10
    assert all((row["up"], row["down"]) == (len(row["up_by"]), len(row["down_by"])) for row in rows)
    assert set(rows[0]) == {"interaction_id", "prompt", "consent", "up_by", "down_by", "rating_ids", "up", "down"}
    assert {"subject", "timestamp", "messages", "response"} <= set(next(rated_batches(snapshot))[0])


def test_a_log_without_ratings_or_without_anything_has_no_votes(tmp_path):
    log = FeedbackLog()
    log.say(log.ask("u1", "Q?", "A"), "u1", "automated", value=1.0)
    for number, one in enumerate((log, FeedbackLog())):
        snapshot = FeedbackSnapshot.read(one.save(tmp_path / str(number))[1])
        assert [row for batch in rated_batches(snapshot) for row in batch] == []

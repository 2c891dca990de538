"""A synthetic log with clustered users: each has tastes, a temper and a pace of their own."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from flywheel.components.store.tables import SCHEMAS

THINGS = (
    "lamp price",
    "phone warranty",
    "drone battery",
    "chair colour",
    "mixer parts",
    "invoice",
    "delivery",
    "login",
)
WAYS = ("what is the {}", "tell me the {} please", "I need help with {}", "how about {} now", "can you explain {}")
DAYS = 21
START = datetime(2026, 1, 1, tzinfo=UTC)

Log = tuple[pa.Table, pa.Table]


def make_log(
    seed: int,
    users: int = 80,
    turns: int = 400,
    moved: float = 0.0,
    bad: float = 0.08,
    bad_now: float | None = None,
    slower: float = 1.0,
    errors_now: float = 0.005,
) -> Log:
    """Make interactions and feedback in the store's schemas.

    Args:
        seed: Seed.
        users: Users; a third of them stay for a part of the time only.
        turns: Conversations, of one to four similar questions each.
        moved: Share of the current questions that are about the first thing instead of what the user likes.
        bad: Mean rate of bad feedback in the reference.
        bad_now: Mean rate in the last 7 days; as before when None.
        slower: Factor of the latency in the last 7 days.
        errors_now: Error rate in the last 7 days (0.005 before).
    """
    random = np.random.default_rng(seed)
    pace = random.pareto(2.5, users) + 0.3
    taste = random.dirichlet(np.ones(len(THINGS)) * 0.5, users)
    temper = random.beta(1, 1 / bad - 1, users)
    visits = random.random(users) < 0.3
    first = np.where(visits, random.random(users) * DAYS * 0.8, 0)
    last = np.where(visits, np.minimum(first + 1 + random.random(users) * DAYS, DAYS), DAYS)
    interactions: list[dict[str, Any]] = []
    feedback: list[dict[str, Any]] = []

    def signal(about: str, subject: str, at: datetime, kind: str, name: str, value: float | None) -> None:
        feedback.append(
            {
                "feedback_id": f"{about}-{name}", "interaction_id": about, "subject": subject, "timestamp": at,
                "kind": kind, "annotator": "user", "name": name, "value": value, "text": None, "source": "log",
                "run_id": "r1", "attributes": "{}",
            }
        )  # fmt: skip

    for turn in range(turns):
        who = int(random.choice(users, p=pace / pace.sum()))
        day = first[who] + random.random() * (last[who] - first[who])
        now = day > DAYS - 7
        thing = 0 if now and random.random() < moved else int(random.choice(len(THINGS), p=taste[who]))
        rate = temper[who] + (bad_now - bad if now and bad_now is not None else 0)
        for part in range(1 + min(int(random.poisson(1)), 3)):
            name, subject = f"i{turn:05d}-{part}", f"{who:032x}"
            at = START + timedelta(days=float(day), seconds=part)
            interactions.append(
                {
                    "interaction_id": name, "conversation_id": f"c{turn}", "subject": subject, "timestamp": at,
                    "model_version": "v1", "messages": "[]", "prompt": WAYS[random.integers(5)].format(THINGS[thing]),
                    "response": "x" * int(20 + random.poisson(30)), "language": "en", "consent": who % 10 != 0,
                    "source": "log", "run_id": "r1", "attributes": "{}",
                }
            )  # fmt: skip
            if random.random() < rate:
                signal(name, subject, at, "rating", "rating", -1.0)
            if random.random() < (errors_now if now else 0.005):
                signal(name, subject, at, "automated", "error", None)
            speed = np.exp(5 + 0.3 * np.sin(who) + 0.4 * random.normal()) * (slower if now else 1)
            signal(name, subject, at, "automated", "latency_ms", float(speed))
    return (
        pa.Table.from_pylist(interactions, schema=SCHEMAS["interactions"]),
        pa.Table.from_pylist(feedback, schema=SCHEMAS["feedback"]),
    )


@pytest.fixture(scope="session")
def log() -> Callable[..., Log]:
    """Return the maker of logs."""
    return make_log

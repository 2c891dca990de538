"""How often the bias check says `look` without cause, and how often with."""

import numpy as np
import pytest

from flywheel.components.curation.bias import check

pytestmark = pytest.mark.simulation
COLUMNS = ("language", "source", "category", "length")


def rows_of(seed: int, gap: float = 0.0, users: int = 120, corrections: int = 500):
    """Corrections of users who differ in how often they are accepted; German ones are accepted `gap` less often."""
    rng = np.random.default_rng(seed)
    skill = rng.beta(8, 2, users)  # rows of one user hang together
    home = rng.choice(["en", "de", "fr"], users, p=[0.6, 0.25, 0.15])
    activity = rng.pareto(1.5, users) + 0.5
    rows = []
    for number, user in enumerate(rng.choice(users, corrections, p=activity / activity.sum()).tolist()):
        chance = skill[user] - gap * (home[user] == "de")
        rows.append(
            {
                "interaction_id": str(number), "subject": f"u{user}", "supporters": [f"u{user}"],
                "supporter_activity": [5], "correction": " ".join(["word"] * int(rng.integers(2, 60))),
                "category": str(rng.choice(["factual", "tone", "clarity"])), "language": str(home[user]),
                "source": str(rng.choice(["web", "app"])), "route": "accept" if rng.random() < chance else "review",
                "reason": "",
            }
        )  # fmt: skip
    return rows


def test_a_false_look_is_no_more_frequent_than_stated():
    """The strictest case: no tolerance at all, so that equality is the null hypothesis."""
    looks = sum(check.judge(rows_of(seed), COLUMNS, alpha=0.05, tolerance=0.0).verdict == "look" for seed in range(150))
    # more than 14 of 150 would have a probability below 1.5 % at the stated 5 %
    assert looks <= 14


def test_a_large_gap_is_seen():
    looks = [check.judge(rows_of(seed, gap=0.4, users=250, corrections=900), COLUMNS[:3]) for seed in range(25)]
    named = [
        any(group.differs for group in report.accepted if group.column == "language" and group.group == "de")
        for report in looks
    ]
    assert sum(named) >= 17


def test_a_gap_within_the_tolerance_is_not_reported():
    looks = sum(check.judge(rows_of(seed, gap=0.05), COLUMNS).verdict == "look" for seed in range(30))
    assert looks <= 2

"""The error rates that curation states, measured in simulated logs."""

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from flywheel.components.curation.categories.category_classifier import CATEGORIES
from flywheel.components.curation.guards import poison_guard
from flywheel.components.curation.routing import router

pytestmark = pytest.mark.simulation
START = datetime(2026, 3, 1, tzinfo=UTC)


def uniform_scores(seed: int, labels: int = 450):
    """Scores between 0.5 and 1, each row right with its score as probability."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(0.5, 1.0, labels)
    return {
        "predicted": [CATEGORIES[i % 3] for i in range(labels)],
        "scores": scores.tolist(),
        "correct": (rng.random(labels) < scores).tolist(),
    }


def test_the_routers_precision_target_is_missed_no_more_often_than_stated():
    missed = chosen_at_all = 0
    for seed in range(300):
        chosen = router.thresholds(uniform_scores(seed, labels=6000), target=0.9, confidence=0.9)
        # the true precision above a threshold t is the mean score above it, (t + 1) / 2
        missed += any(c.threshold is not None and (c.threshold + 1) / 2 < 0.9 for c in chosen.values())
        chosen_at_all += sum(c.threshold is not None for c in chosen.values())
    assert chosen_at_all >= 0.9 * 900  # or the promise would be kept by abstaining
    assert missed <= 0.1 * 300


def test_a_mediocre_classifier_with_few_labels_abstains():
    chosen = [choice for seed in range(100) for choice in router.thresholds(uniform_scores(seed), 0.9, 0.9).values()]
    assert sum(choice.threshold is None for choice in chosen) >= 0.95 * len(chosen)


def test_a_good_classifier_gets_most_of_what_an_oracle_would_accept():
    covered, abstained = [], 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        scores = rng.beta(12, 1, 1000)  # mean 0.92: an oracle accepts everything above the cut with precision 0.9
        known = {
            "predicted": ["factual"] * 1000,
            "scores": scores.tolist(),
            "correct": (rng.random(1000) < scores).tolist(),
        }
        threshold = router.thresholds(known, 0.9, 0.9)["factual"].threshold
        abstained += threshold is None
        if threshold is not None:
            covered.append(float((scores >= threshold).mean()))  # the oracle accepts all
    assert abstained <= 10
    assert np.mean(covered) >= 0.7


def claim(question: str, subjects: list[str], active: dict[str, int], hours: float) -> dict[str, object]:
    at = START + timedelta(hours=hours)
    return {
        "question_id": question, "claim": ["36"], "category": "factual", "support": len(subjects),
        "supporters": subjects, "supported_at": [at] * len(subjects), "supporter_records": [1] * len(subjects),
        "supporter_activity": [active[subject] for subject in subjects], "endorsers": [],
        "askers": 2 * len(subjects), "silent_since": 0, "interaction_id": question, "prompt": question, "response": "",
        "correction": "36",
    }  # fmt: skip


def log_of(seed: int) -> tuple[list[dict[str, object]], dict[str, int]]:
    """Twenty-five facts corrected by random users, a fifth of whom did nothing else."""
    dice = random.Random(seed)
    active = {f"u{i}": 1 if i % 5 == 0 else dice.randrange(5, 25) for i in range(300)}
    rows = [claim(f"q{i}", dice.sample(sorted(active), 12), active, 10.0 * i) for i in range(25)]
    return rows, active


def test_honest_logs_raise_no_more_coordination_alarms_than_stated():
    alarms = sum(bool(poison_guard.inspect(log_of(seed)[0], 9.0)) for seed in range(400))
    assert alarms <= 9  # 1 % of 400 is 4; more than 9 would have a probability below 1 %


def test_coordinated_groups_of_twelve_are_caught():
    caught = 0
    for seed in range(200):
        rows, active = log_of(seed)
        fresh = [f"fresh{i}" for i in range(12)]
        rows.append(claim("target", fresh, active | dict.fromkeys(fresh, 1), 55.0))
        finding = poison_guard.inspect(rows, 9.0).get(len(rows) - 1)
        caught += finding is not None and finding.reason == "coordinated"
    assert caught >= 196

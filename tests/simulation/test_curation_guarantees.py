"""The error rates that curation states, measured in simulated logs."""

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from flywheel.components.curation.categories.category import CATEGORIES
from flywheel.components.curation.guards import poison_guard
from flywheel.components.curation.routing import audit
from flywheel.components.curation.routing.thresholds import (
    FALSE_ALARMS,
    WINDOW,
    _contradiction,
    category_threshold,
    thresholds,
)

pytestmark = pytest.mark.simulation
START = datetime(2026, 3, 1, tzinfo=UTC)


RUNS = 500


def good(rng: np.random.Generator, n: int, k: float = 4.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Overconfident scores of a good classifier (notes: k = 4, a weak one k = 1.6), what is right, and its chance."""
    z = rng.normal(size=n)
    chance = 1 / (1 + np.exp(-(k * z - 0.2)))
    return 1 / (1 + np.exp(-1.8 * (k * z - 0.2))), (rng.random(n) < chance).astype(float), chance


def uniform(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Calibrated scores between 0.5 and 1: the precision above any threshold hangs on where exactly it lies."""
    scores = rng.uniform(0.5, 1.0, n)
    return scores, (rng.random(n) < scores).astype(float), scores


def truth_above(scores: np.ndarray, chance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a large population, falling, and the precision of accepting everything down to each."""
    order = np.argsort(-scores)
    return scores[order], np.cumsum(chance[order]) / np.arange(1, scores.size + 1)


@pytest.mark.parametrize(
    ("world", "labels", "least_set"), [(uniform, 6000, 0.9), (good, 3000, 0.95), (good, 1000, 0.5)]
)
def test_the_routers_precision_target_is_missed_no_more_often_than_stated(world, labels, least_set):
    scores, _, chance = world(np.random.default_rng(1), 400_000)
    falling, precision = truth_above(scores, chance)
    missed = chosen_at_all = 0
    for seed in range(RUNS):
        rng = np.random.default_rng(seed + 10)
        known_scores, right, _ = world(rng, labels)
        known = {
            "predicted": [CATEGORIES[i % 3] for i in range(labels)],
            "scores": known_scores,
            "correct": right,
        }
        cuts = [c.threshold for c in thresholds(known, 0.9, 0.9).values() if c.threshold is not None]
        chosen_at_all += len(cuts)
        missed += any(precision[max(0, np.searchsorted(-falling, -cut, "right") - 1)] < 0.9 for cut in cuts)
    assert chosen_at_all >= least_set * 3 * RUNS  # or the promise would be kept by abstaining
    assert missed <= 0.1 * RUNS


def test_a_weak_classifier_with_few_labels_abstains():
    chosen = []
    for seed in range(100):
        scores, right, _ = good(np.random.default_rng(seed), 450, k=1.6)
        known = {"predicted": [CATEGORIES[i % 3] for i in range(450)], "scores": scores, "correct": right}
        chosen += thresholds(known, 0.9, 0.9).values()
    assert sum(choice.threshold is None for choice in chosen) >= 0.95 * len(chosen)


def test_a_good_classifier_gets_most_of_what_an_oracle_would_accept():
    scores, _, chance = good(np.random.default_rng(1), 400_000)
    falling, precision = truth_above(scores, chance)
    oracle = np.flatnonzero(precision >= 0.9)[-1] / falling.size
    covered = []
    for seed in range(RUNS):
        known_scores, right, _ = good(np.random.default_rng(seed + 10), 1000)
        known = {"predicted": ["factual"] * 1000, "scores": known_scores, "correct": right}
        threshold = thresholds(known, 0.9, 0.9)["factual"].threshold
        covered.append(0.0 if threshold is None else float((scores >= threshold).mean()))
    assert 0.4 < oracle < 0.5
    assert np.mean(covered) >= 0.7 * oracle


class Drift:
    """A category over many runs: labels once, then the audit alone. From run `AT` on the scores say less than before."""

    AT, RUNS, PER_RUN, LABELS = 8, 26, 500, 600

    def __init__(self, seed: int, drop: float, spared: float = 2.0) -> None:
        self.rng, self.drop, self.spared = np.random.default_rng(seed), drop, spared
        self.precision, self.coverage, self.closed = (np.full(self.RUNS, np.nan) for _ in range(3))
        base_scores, base_right, _ = self.draw(self.LABELS, late=False)
        answers = (np.empty(0), np.empty(0))
        for run in range(self.RUNS):
            newest = (answers[0][-WINDOW:], answers[1][-WINDOW:])
            found = category_threshold((base_scores, base_right), newest, 0.9, 0.1 / 3)
            scores, right, chance = self.draw(self.PER_RUN, run >= self.AT)
            accepted = scores >= (2.0 if found.threshold is None else found.threshold)
            self.coverage[run], self.closed[run] = accepted.mean(), found.closed_by_audit
            self.precision[run] = chance[accepted].mean() if accepted.any() else 1.0
            looked_at = self.rng.permutation(self.PER_RUN)[: audit.LEAST if accepted.any() else audit.CLOSED]
            answers = (np.append(answers[0], scores[looked_at]), np.append(answers[1], right[looked_at]))

    def draw(self, n: int, late: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        scores = self.rng.beta(12, 1.2, n)
        chance = np.where(late & (scores < self.spared), np.clip(scores - self.drop, 0, 1), scores)
        return scores, (self.rng.random(n) < chance).astype(float), chance


@pytest.mark.parametrize(("drop", "within"), [(0.5, 2), (0.25, 4)])
def test_the_audit_closes_a_category_whose_precision_fell(drop, within):
    worlds = [Drift(seed, drop) for seed in range(60)]
    missed = np.array([world.precision < 0.9 for world in worlds]).mean(axis=0)
    assert missed[: Drift.AT].max() <= 0.1
    assert missed[Drift.AT] >= 0.9  # the first run after the change has no answer yet: nothing could know
    assert missed[Drift.AT + within :].max() <= 0.1
    assert np.mean([world.coverage[-1] for world in worlds]) <= 0.05  # nothing is right often enough any more


def test_after_a_drift_the_guarantee_is_regained_and_with_it_coverage():
    worlds = [Drift(seed, 0.4, spared=0.93) for seed in range(60)]  # scores above 0.93 still mean what they say
    missed = np.array([world.precision < 0.9 for world in worlds]).mean(axis=0)
    assert missed[Drift.AT] >= 0.9
    assert missed[-6:].mean() <= 0.1
    late = np.mean([world.coverage[-6:].mean() for world in worlds])
    assert 0.3 <= late <= 0.65  # 0.49 of the scores lie above 0.93


def test_without_drift_the_audit_closes_nothing_more_often_than_stated():
    worlds = [Drift(seed, 0.0) for seed in range(60)]
    assert np.mean([world.closed for world in worlds]) <= 0.01
    assert np.mean([world.coverage for world in worlds]) >= 0.8
    exact = np.random.default_rng(3)  # a category with exactly the promised precision: the stated rate
    closed = 0
    for _ in range(RUNS):
        scores = exact.uniform(0.5, 1, WINDOW)
        closed += _contradiction((scores, (exact.random(WINDOW) < 0.9).astype(float)), 0.0, 0.9) is not None
    assert closed / RUNS <= FALSE_ALARMS


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

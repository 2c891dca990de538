"""The quality alarm, looked at every day: silent at the tolerance, and it comes in time beyond it."""

import numpy as np
import pytest
from scipy import stats

from flywheel.components.monitoring.quality_alarm import QualityAlarm, watch
from flywheel.components.monitoring.windows import Windows

DAY = 86_400.0
TOLERANCE = 0.02


def world(seed: int, rise: float, users: int = 120, rows: int = 1500, bad: float = 0.06) -> tuple[Windows, np.ndarray]:
    """Rates differ between users; a user's rows come in both windows; the last 7 of 28 days are current."""
    random = np.random.default_rng(seed)
    pace = random.pareto(2.5, users) + 0.3
    temper = random.beta(1.0, 1 / bad - 1, users) * (1 - rise)
    who = random.choice(users, rows, p=pace / pace.sum())
    at = np.sort(random.random(rows)) * 28 * DAY
    at[-1] = 28 * DAY
    current = at > 21 * DAY
    values = (random.random(rows) < temper[who] + rise * current + 0.0).astype(np.float64)
    nothing = np.full(rows, np.nan)
    return (
        Windows(
            ids=[], users=who.astype(np.int64), at=at, current=current, prompts=[], may_be_shown=current,
            prompt_chars=nothing, response_chars=nothing, latency_ms=nothing, bad=values, error=nothing,
            boundary=21 * DAY, days=7.0, unknown="",
        ),
        values,
    )  # fmt: skip


def watched(seed: int, rise: float, alpha: float, **world_is: float) -> QualityAlarm:
    log, values = world(seed, rise, **world_is)
    return watch("bad_feedback", values, log, TOLERANCE, alpha)


@pytest.mark.simulation
@pytest.mark.parametrize("shape", [{}, {"bad": 0.01}, {"users": 40, "rows": 500}])
def test_at_the_tolerance_seven_looks_keep_the_error_rate(shape: dict[str, float]) -> None:
    worlds, alpha = 600, 0.05
    alarms = sum(watched(seed, TOLERANCE, alpha, **shape).outcome == "alarm" for seed in range(worlds))
    assert alarms <= stats.binom.isf(0.001, worlds, alpha)


@pytest.mark.simulation
def test_a_clear_rise_fires_within_the_window_and_later_when_it_is_smaller() -> None:
    large = [watched(seed, 0.25, 0.0025) for seed in range(60)]
    small = [watched(seed, 0.14, 0.0025) for seed in range(60)]
    assert sum(alarm.outcome == "alarm" for alarm in large) == 60
    assert sum(alarm.outcome == "alarm" for alarm in small) >= 50
    days = [sum(look.lower > TOLERANCE for look in alarm.looks) for alarm in large]
    assert np.mean(days) > np.mean([sum(look.lower > TOLERANCE for look in alarm.looks) for alarm in small])


@pytest.mark.simulation
def test_the_band_covers_the_true_rise_at_all_looks() -> None:
    worlds, alpha, rise = 400, 0.05, 0.05
    missed = 0
    for seed in range(worlds):
        looks = watched(seed, rise, alpha).looks
        missed += any(look.lower > rise for look in looks)
    assert missed <= stats.binom.isf(0.001, worlds, alpha)

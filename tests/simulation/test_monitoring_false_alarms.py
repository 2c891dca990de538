"""The promise of the drift check: at most alpha of stable windows raise any alarm, and real changes are found."""

import runpy
from pathlib import Path

import pytest
from scipy import stats

from flywheel.components.monitoring.drift_check import DriftReport, check_drift

make_log = runpy.run_path(str(Path(__file__).parents[1] / "monitoring" / "conftest.py"))["make_log"]

ALPHA = 0.05
WORLDS = 240


def most(worlds: int, rate: float) -> int:
    """Events that a true rate gives at most, but for one time in a thousand."""
    return int(stats.binom.isf(0.001, worlds, rate))


@pytest.fixture(scope="module")
def stable() -> list[DriftReport]:
    return [check_drift(*make_log(seed, turns=300), alpha=ALPHA, seed=seed) for seed in range(10_000, 10_000 + WORLDS)]


@pytest.mark.simulation
@pytest.mark.timeout(600)
def test_stable_windows_with_clustered_users_raise_few_alarms(stable: list[DriftReport]) -> None:
    told = [report for report in stable if report.outcome != "unknown"]
    assert len(told) > 0.9 * WORLDS
    alarms = sum(report.outcome == "alert" for report in told)
    assert alarms <= most(len(told), ALPHA)


@pytest.mark.simulation
@pytest.mark.timeout(600)
def test_each_input_test_keeps_its_level(stable: list[DriftReport]) -> None:
    for name in ("topics", "prompts", "prompt length (characters)", "response length (characters)", "latency (ms)"):
        found = [test.p_value for report in stable for test in report.tests if test.name == name]
        for level in (0.05, 0.2):
            assert sum(p_value <= level for p_value in found) <= most(len(found), level), name
        assert sum(p_value <= 0.5 for p_value in found) >= 0.3 * len(found), f"{name} is needlessly timid"


@pytest.mark.simulation
@pytest.mark.timeout(600)
def test_clear_changes_are_found() -> None:
    moved = [check_drift(*make_log(seed, users=150, turns=700, moved=0.4)) for seed in range(30)]
    assert sum(report.alarmed("topics") and report.alarmed("prompts") for report in moved) >= 28
    worse = [check_drift(*make_log(seed, users=150, turns=700, bad_now=0.3)) for seed in range(30)]
    assert sum(report.quality[0].outcome == "alarm" for report in worse) >= 28
    assert sum(report.alarmed("topics") or report.alarmed("prompts") for report in worse) <= 2

"""The trigger counts accepted candidates of its run; the signal asks for training only where training helps."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from flywheel.components.contracts.tables import CandidateSnapshot
from flywheel.components.monitoring.drift_check import DriftReport, check_drift
from flywheel.components.monitoring.retrain_trigger import alerts_of, check_candidates, retrain_signal
from flywheel.components.store import delta_table
from flywheel.components.store.tables import SCHEMAS


def snapshot(folder: Path, accepted: int, reviewed: int = 3, other_run: int = 5) -> str:
    routes = [("r1", "accept")] * accepted + [("r1", "review")] * reviewed + [("r0", "accept")] * other_run
    rows = [
        {name: f"{name}{number}" for name in SCHEMAS["candidates"].names}
        | {"run_id": run, "route": route, "confidence": 0.9, "timestamp": datetime(2026, 1, 1, tzinfo=UTC)}
        for number, (run, route) in enumerate(routes)
    ]
    table = pa.Table.from_pylist(rows, schema=SCHEMAS["candidates"])
    reference = delta_table.append(str(folder / "store"), "candidates", table, "b").reference
    CandidateSnapshot(candidates=reference, run_id="r1").write(folder / "candidates.json")
    return str(folder / "candidates.json")


@pytest.mark.parametrize(("accepted", "outcome"), [(0, "hold"), (9, "hold"), (10, "train"), (11, "train")])
def test_enough_or_not(tmp_path: Path, accepted: int, outcome: str) -> None:
    trigger = check_candidates(snapshot(tmp_path, accepted), 10)
    assert (trigger.outcome, trigger.have, trigger.need) == (outcome, accepted, 10)
    if outcome == "hold":
        assert trigger.words == (
            f"not enough data, have {accepted}, need 10 ({10 - accepted} more); 3 wait for people's answers "
            "(`flywheel review export`)"
        )


def test_an_empty_run_holds_and_a_senseless_minimum_is_refused(tmp_path: Path) -> None:
    path = snapshot(tmp_path, 0, reviewed=0)
    assert check_candidates(path, 1).words == "not enough data, have 0, need 1 (1 more)"
    with pytest.raises(ValueError, match="min_candidates must be at least 1"):
        check_candidates(path, 0)


def report(*reasons: str, outcome: str = "alert") -> DriftReport:
    window = {"rows": 1, "users": 1, "first": None, "last": "2026-01-21T00:00:00+00:00"}
    return DriftReport(outcome, list(reasons), 0.01, "", {"reference": window, "current": window})


def test_serving_faults_do_not_ask_for_training() -> None:
    assert retrain_signal(report("errors_rose: words", "latency_rose: words")) is None
    signal = retrain_signal(report("errors_rose: words", "topic_shift: words"))
    assert signal == {"trigger": "retrain", "reasons": ["topic_shift: words"]}


def test_each_reason_is_one_alert_and_the_signal_comes_last() -> None:
    made = alerts_of(report("number_shift: a", "number_shift: b", "bad_feedback_rose: c"), "r1")
    assert [alert.kind for alert in made] == ["number_shift", "bad_feedback_rose", "retrain"]
    assert made[0].summary == "a; b"
    assert made[1].severity == "critical"
    assert made[-1].evidence["trigger"] == "retrain"
    assert alerts_of(report("no_change_shown: x", outcome="quiet"), "r1") == []
    assert alerts_of(report("not_enough_data: x", outcome="unknown"), "r1") == []


def test_every_reason_that_the_detectors_give_has_an_action(log: Callable) -> None:
    found = check_drift(*log(3, users=200, turns=900, moved=0.5, bad_now=0.4, slower=2.0, errors_now=0.2))
    assert len(found.reasons) >= 5
    assert all(alert.what_to_do for alert in alerts_of(found, "r1"))

from datetime import UTC, datetime, timedelta

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.store import delta_table, lineage

START = datetime(2026, 1, 1, tzinfo=UTC)


def record(run, step, minute, outcome="", **more):
    return StepRecord(
        run_id=run,
        step=step,
        started_at=START,
        finished_at=START + timedelta(minutes=minute),
        outcome=outcome,
        **more,
    )


def test_latest_attempt_wins_and_order_is_by_finish(tmp_path):
    store = str(tmp_path)
    lineage.record_step(store, record("r", "intake", 1, "failed"))
    lineage.record_step(store, record("r", "curation", 2))
    lineage.record_step(store, record("r", "intake", 3, "well"))
    lineage.record_step(store, record("other", "intake", 9))
    assert [(one.step, one.outcome) for one in lineage.steps(store, "r")] == [("curation", ""), ("intake", "well")]
    assert lineage.runs(store) == ["r", "other"]


def test_writing_the_same_record_twice_changes_nothing(tmp_path):
    store = str(tmp_path)
    one = record(
        "r", "s", 1, rows=RowCounts(rows_in=3, accepted=2, quarantined={"bad": 1}), details={"a": [1, {"b": "c"}]}
    )
    lineage.record_step(store, one)
    version = delta_table.latest(store, "lineage").version
    lineage.record_step(store, one)
    assert delta_table.latest(store, "lineage").version == version
    assert lineage.steps(store, "r") == [one]


def test_unknown_run_and_unknown_store(tmp_path):
    store = str(tmp_path / "none")
    assert lineage.steps(store, "r") == []
    assert lineage.runs(store) == []
    assert not (tmp_path / "none").exists()

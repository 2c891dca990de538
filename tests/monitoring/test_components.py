"""The step on a real store, its page, and both components through KFP's local runner."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from kfp import dsl, local

from flywheel.components.contracts.tables import FeedbackSnapshot
from flywheel.components.monitoring import monitor_run
from flywheel.components.store import delta_table, lineage
from flywheel.components.store.tables import SCHEMAS


def snapshot(folder: Path, tables: tuple) -> Path:
    store = str(folder / "store")
    interactions, feedback = (
        delta_table.append(store, name, table, "b1").reference
        for name, table in zip(("interactions", "feedback"), tables, strict=True)
    )
    FeedbackSnapshot(interactions=interactions, feedback=feedback).write(folder / "feedback.json")
    return folder / "feedback.json"


def monitor(folder: Path, run_id: str = "r1") -> monitor_run.MonitorSummary:
    return monitor_run.monitor(
        str(folder / "feedback.json"), run_id, str(folder / "drift.html"), str(folder / "drift.md")
    )


def test_an_alert_is_written_once_and_the_page_stands_alone(tmp_path: Path, log: Callable) -> None:
    snapshot(tmp_path, log(1, users=200, turns=900, moved=0.4, bad_now=0.3))
    first = monitor(tmp_path)
    page, summary = (tmp_path / "drift.html").read_text(), (tmp_path / "drift.md").read_text()
    assert first.report.outcome == "alert"
    assert first.written == len(first.alerts) >= 3
    again = monitor(tmp_path)
    assert again.written == 0
    assert page == (tmp_path / "drift.html").read_text()
    assert "<script" not in page and "http" not in page and "NaN" not in page and "nan%" not in page
    assert page.count("<svg") == 4
    assert "topic_shift" in summary and "lamp" in summary
    assert (tmp_path / "store/alerts.jsonl").read_text().count("\n") == first.written
    details = again.details()
    assert {"drift", "quality", "topics", "alerts"} <= set(details)
    assert details["alerts"][-1]["kind"] == "retrain"


def test_prompts_cannot_break_out_of_the_page(tmp_path: Path, log: Callable) -> None:
    import pyarrow as pa

    interactions, feedback = log(1, users=200, turns=900, moved=0.4)
    nasty = pa.array([f"<img src=x onerror=alert(1)> | {p}" for p in interactions["prompt"].to_pylist()])
    snapshot(tmp_path, (interactions.set_column(6, "prompt", nasty), feedback))
    monitor(tmp_path)
    assert "<img" not in (tmp_path / "drift.html").read_text() + (tmp_path / "drift.md").read_text()


@pytest.mark.parametrize("rows", [0, 1])
def test_empty_tables_and_one_row_give_a_page_that_says_so(tmp_path: Path, log: Callable, rows: int) -> None:
    interactions, feedback = log(1)
    snapshot(tmp_path, (interactions.slice(0, rows), feedback.slice(0, rows)))
    found = monitor(tmp_path)
    assert (found.report.outcome, found.written) == ("unknown", 0)
    assert "too little data" in (tmp_path / "drift.html").read_text()
    assert not (tmp_path / "store/alerts.jsonl").exists()
    assert found.details()["topics"] == []


@pytest.mark.slow
def test_through_the_local_runner(tmp_path: Path, log: Callable) -> None:
    from flywheel.components.contracts.tables import CandidateSnapshot
    from flywheel.components.monitoring.component import check_trigger, detect_drift

    feedback = snapshot(tmp_path, log(1, users=200, turns=900, moved=0.4))
    empty = delta_table.append(str(tmp_path / "store"), "candidates", SCHEMAS["candidates"].empty_table(), "b")
    CandidateSnapshot(candidates=empty.reference, run_id="r1").write(tmp_path / "candidates.json")

    @dsl.pipeline(name="monitoring")
    def pipeline(store: str, run_id: str, alerts: str) -> None:
        rows = dsl.importer(artifact_uri=str(tmp_path / "candidates.json"), artifact_class=dsl.Dataset)
        log_rows = dsl.importer(artifact_uri=str(feedback), artifact_class=dsl.Dataset)
        check_trigger(candidates=rows.output, store=store, run_id=run_id, min_candidates=50)
        detect_drift(feedback=log_rows.output, store=store, run_id=run_id, alerts=alerts, current_days=7.0)

    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"), raise_on_error=True)
    pipeline(store=str(tmp_path / "store"), run_id="r1", alerts=str(tmp_path / "alerts.jsonl"))
    records = {record.step: record for record in lineage.steps(str(tmp_path / "store"), "r1")}
    assert records["check_trigger"].outcome == "not enough data, have 0, need 50 (50 more)"
    assert records["check_trigger"].details["have"] == 0
    drift = records["detect_drift"]
    assert drift.outcome == "alert"
    assert drift.metrics["prompt_auc"] > 0.55
    assert re.search(r'"kind":"retrain"', (tmp_path / "alerts.jsonl").read_text())
    assert next((tmp_path / "root").rglob("drift")).read_text().startswith("<!doctype html>")

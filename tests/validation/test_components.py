"""The components through KFP's local runner: outcome, page, result and step record."""

import json
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from datasets import Dataset
from kfp import dsl, local

from flywheel.components.contracts.tables import CandidateSnapshot
from flywheel.components.store import delta_table, lineage
from flywheel.components.store.tables import SCHEMAS
from flywheel.components.validation import checked_data


def candidate(number: int, run_id: str = "r1", **changes: Any) -> dict[str, Any]:
    made = {
        "candidate_id": f"{number:032x}",
        "run_id": run_id,
        "interaction_id": f"{number:032x}",
        "subject": f"{number % 20:032x}",
        "timestamp": datetime(2026, 3, 1, tzinfo=UTC),
        "prompt": f"What does plan {number} cost?",
        "messages": "[]",
        "response": "10 euros.",
        "correction": "12 euros.",
        "category": "factual",
        "confidence": 0.97,
        "route": "accept",
        "reason": "",
        "group_id": f"g{number}",
        "cluster_id": "c1",
        "cluster_name": "plan, costs",
    }
    return made | changes


def snapshot(folder: Path, rows: list[dict[str, Any]]) -> Path:
    table = pa.Table.from_pylist(rows, schema=SCHEMAS["candidates"])
    reference = delta_table.append(str(folder / "store"), "candidates", table, "b1").reference
    CandidateSnapshot(candidates=reference, run_id="r1").write(folder / "candidates.json")
    return folder / "candidates.json"


def training_data(folder: Path, completion: str = "12 euros.") -> tuple[Path, Path]:
    rows = [
        {
            "prompt": [{"role": "user", "content": f"What does plan {number} cost?"}],
            "completion": [{"role": "assistant", "content": completion}],
            "source": "correction",
            "group_id": f"g{number}",
            "candidate_id": f"{number:032x}",
        }
        for number in range(20)
    ]
    pairs = [
        {
            "prompt": row["prompt"],
            "chosen": row["completion"],
            "rejected": [{"role": "assistant", "content": "10 euros."}],
            "group_id": row["group_id"],
        }
        for row in rows
    ]
    Dataset.from_list(rows).save_to_disk(str(folder / "sft"))
    Dataset.from_list(pairs).save_to_disk(str(folder / "preferences"))
    return folder / "sft", folder / "preferences"


def test_other_runs_rows_are_not_judged_and_the_network_is_never_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: calls.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *address, **_: calls.append(address))
    path = snapshot(tmp_path, [candidate(1), candidate(2, run_id="r0", category="poem")])
    outcome, results = checked_data.validate_candidates(
        str(path), str(tmp_path / "out/result.json"), str(tmp_path / "out/page.html")
    )
    assert (outcome, results[0].rows) == ("pass", 1)
    assert calls == []
    page = (tmp_path / "out/page.html").read_text()
    assert "http" not in page.replace("http-equiv", "") and "<script" not in page


def test_the_page_escapes_and_names_the_broken_check(tmp_path: Path) -> None:
    path = snapshot(tmp_path, [candidate(1, category="<script>alert(1)</script>"), candidate(2)])
    outcome, results = checked_data.validate_candidates(str(path), str(tmp_path / "r.json"), str(tmp_path / "p.html"))
    page = (tmp_path / "p.html").read_text()
    assert outcome == "fail"
    assert "category_known" in page and f"{1:032x}" in page
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert checked_data.details(results)["failed"][0]["check"] == "category_known"
    assert checked_data.row_counts(outcome, results).quarantined == {"contract_broken": 2}
    before = page
    checked_data.validate_candidates(str(path), str(tmp_path / "r.json"), str(tmp_path / "p.html"))
    assert before.split("no row is later")[0] == (tmp_path / "p.html").read_text().split("no row is later")[0]


def test_a_folder_that_is_no_dataset_is_named(tmp_path: Path) -> None:
    (tmp_path / "sft").mkdir()
    with pytest.raises(ValueError, match="sft is not a dataset"):
        checked_data.load(str(tmp_path / "sft"))


@pytest.mark.slow
def test_through_the_local_runner(tmp_path: Path) -> None:
    from flywheel.components.validation.component import validate_candidates, validate_training_data

    candidates = snapshot(tmp_path, [candidate(number) for number in range(30)])
    sft, preferences = training_data(tmp_path, completion="ask jane@example.org")

    @dsl.pipeline(name="validation")
    def pipeline(store: str, run_id: str) -> None:
        rows = dsl.importer(artifact_uri=str(candidates), artifact_class=dsl.Dataset)
        sft_rows = dsl.importer(artifact_uri=str(sft), artifact_class=dsl.Dataset)
        pairs = dsl.importer(artifact_uri=str(preferences), artifact_class=dsl.Dataset)
        validate_candidates(candidates=rows.output, store=store, run_id=run_id)
        validate_training_data(sft=sft_rows.output, preferences=pairs.output, store=store, run_id=run_id)

    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"), raise_on_error=True)
    pipeline(store=str(tmp_path / "store"), run_id="r1")
    records = {record.step: record for record in lineage.steps(str(tmp_path / "store"), "r1")}
    assert records["validate_candidates"].outcome == "pass"
    assert records["validate_candidates"].rows.accepted == 30
    broken = records["validate_training_data"]
    assert broken.outcome == "fail"
    assert {(check["suite"], check["check"]) for check in broken.details["failed"]} == {
        ("sft", "no_personal_data"),
        ("preferences", "no_personal_data"),
    }
    results = [json.loads(path.read_text()) for path in (tmp_path / "root").rglob("result")]
    assert sorted(result["outcome"] for result in results) == ["fail", "pass"]

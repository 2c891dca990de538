"""Alert lines: whole, once per run and kind, also when writers die or race."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.monitoring.alerts import Alert, append


def alert(run_id: str = "r1", kind: str = "topic_shift") -> Alert:
    return Alert(run_id, kind, "warning", kind, "a summary", "do this", "2026-01-21T00:00:00+00:00", {"p": 0.001})


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_again_writes_nothing_and_other_kinds_are_added(tmp_path: Path) -> None:
    path = tmp_path / "deep/alerts.jsonl"
    assert append(str(path), [alert(), alert(kind="errors_rose"), alert()]) == 2
    before = path.read_bytes()
    assert append(str(path), [alert()]) == 0
    assert path.read_bytes() == before
    assert append(str(path), [alert(run_id="r2")]) == 1
    assert [(line["run_id"], line["kind"]) for line in lines(path)] == [
        ("r1", "topic_shift"),
        ("r1", "errors_rose"),
        ("r2", "topic_shift"),
    ]
    assert {"schema", "id", "severity", "reason", "what_to_do", "at"} <= set(lines(path)[0])


@settings(deadline=None, max_examples=40)
@given(cut=st.integers(0, 1000))
def test_a_line_left_unfinished_by_a_killed_writer_is_healed(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("alerts") / "alerts.jsonl"
    append(str(path), [alert(), alert(kind="errors_rose")])
    whole = path.read_bytes()
    path.write_bytes(whole[: cut % len(whole)])
    append(str(path), [alert(), alert(kind="errors_rose")])
    assert path.read_bytes() == whole


def test_somebody_elses_lines_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_text('not json\n[1]\n{"id": 5}\n')
    assert append(str(path), [alert()]) == 1
    assert path.read_text().startswith('not json\n[1]\n{"id": 5}\n')


def test_writers_that_race_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(lambda number: append(str(path), [alert(run_id=f"r{number % 20}")]), range(60)))
    assert sum(written) == 20
    assert len({line["id"] for line in lines(path)}) == 20


def test_an_object_store_and_a_folder_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="file on this machine"):
        append("s3://bucket/alerts.jsonl", [alert()])
    with pytest.raises(ValueError, match="cannot write alerts"):
        append(str(tmp_path), [alert()])

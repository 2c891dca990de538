"""Golden files per format: what goes in, and the rows that must come out."""

import gzip
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flywheel.components.intake import sources
from flywheel.components.intake.errors import IntakeError
from flywheel.components.intake.ingest import ingest
from flywheel.components.store import delta_table

NOW = datetime(2026, 11, 21, tzinfo=UTC)
GOLDEN = Path(__file__).parent / "golden"
PLACEHOLDER = re.compile(r"\[([A-Z]+)_\d+\]")  # its number hangs on the store's random key


def table(store, name):
    return delta_table.read(delta_table.latest(str(store), name)).to_pylist()


def run(path, store, log_format="auto", run_id="run"):
    return ingest(str(path), str(store), run_id, log_format, now=NOW)


def told(store):
    """The tables without what depends on the random key or on the copy of the file."""
    interactions = {
        row["response"]: {
            "prompt": row["prompt"],
            "messages": json.loads(row["messages"]),
            "model_version": row["model_version"],
            "language": row["language"],
            "source": row["source"],
        }
        for row in table(store, "interactions")
    }
    responses = {row["interaction_id"]: row["response"] for row in table(store, "interactions")}
    feedback = sorted(
        [
            responses.get(row["interaction_id"], row["interaction_id"]),
            row["kind"],
            row["annotator"],
            row["name"],
            row["value"],
            row["text"] and PLACEHOLDER.sub(r"[\1]", row["text"]),
        ]
        for row in table(store, "feedback")
    )
    reasons = sorted([row["line"], row["reason"], row["detail"]] for row in table(store, "quarantine"))
    tables = {"interactions": interactions, "feedback": feedback, "quarantine": reasons}
    return json.loads(PLACEHOLDER.sub(r"[\1]", json.dumps(tables)))


@pytest.mark.parametrize("name", ["feedback.jsonl", "flat.csv", "openai.jsonl", "preferences.jsonl"])
@pytest.mark.parametrize("named", [False, True])
def test_golden(name, named, tmp_path):
    names = {
        "feedback.jsonl": "feedback",
        "flat.csv": "csv",
        "openai.jsonl": "openai",
        "preferences.jsonl": "preferences",
    }
    summary = run(GOLDEN / name, tmp_path / "store", names[name] if named else "auto")
    summary.record("run")
    expected = json.loads(PLACEHOLDER.sub(r"[\1]", (GOLDEN / f"{name}.expected.json").read_text()))
    assert told(tmp_path / "store") == expected


def test_parquet_gives_what_csv_gives(tmp_path):
    import csv

    with (GOLDEN / "flat.csv").open(newline="") as file:
        rows = [
            {name: cell or None for name, cell in row.items() if name is not None and not isinstance(cell, list)}
            for row in csv.DictReader(file, delimiter=";")
            if None not in row and None not in row.values()
        ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "flat.parquet")
    run(tmp_path / "flat.parquet", tmp_path / "parquet")
    run(GOLDEN / "flat.csv", tmp_path / "csv")
    from_parquet, from_csv = told(tmp_path / "parquet"), told(tmp_path / "csv")
    assert from_parquet["interactions"] == from_csv["interactions"]
    assert from_parquet["feedback"] == from_csv["feedback"]


def test_parquet_with_real_types(tmp_path):
    rows = [
        {
            "interaction": 17,
            "timestamp": datetime(2026, 11, 1, tzinfo=UTC),
            "messages": [{"role": "user", "content": "q"}],
            "response": "a",
            "rating": 1.0,
            "latency_ms": 5,
            "implicit": ["copy"],
        }
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    assert run(tmp_path / "x.parquet", tmp_path / "s").accepted == 1
    assert {row["name"]: row["value"] for row in table(tmp_path / "s", "feedback")} == {
        "rating": 1.0,
        "latency_ms": 5.0,
        "copy": 1.0,
    }


def test_folder_glob_and_gzip(tmp_path):
    line = '{{"prompt": "q{0}", "response": "a{0}", "timestamp": 1790000000}}\n'
    logs = tmp_path / "logs" / "deep"
    logs.mkdir(parents=True)
    (logs / "a.jsonl").write_text(line.format(1))
    with gzip.open(logs / "b.jsonl.gz", "wt") as file:
        file.write(line.format(2))
    (logs / "notes.md").write_text("no log")
    (logs / ".hidden.jsonl").write_text(line.format(9))
    summary = run(tmp_path / "logs", tmp_path / "s1")
    assert (summary.files, summary.accepted) == (2, 2)
    assert [source.label for source in sources.resolve(str(tmp_path / "logs"))] == ["deep/a.jsonl", "deep/b.jsonl.gz"]
    assert run(f"{tmp_path}/logs/**/*.jsonl", tmp_path / "s2").accepted == 1
    assert run(f"file://{logs}/a.jsonl", tmp_path / "s3").accepted == 1
    stored = json.dumps(table(tmp_path / "s1", "interactions"), default=str)
    assert str(tmp_path) not in stored


def test_remote_sources_by_the_same_code(tmp_path, monkeypatch):
    import pyarrow.fs as pafs

    (tmp_path / "bucket" / "logs").mkdir(parents=True)
    (tmp_path / "bucket" / "logs" / "a.jsonl").write_text('{"prompt": "q", "response": "a", "timestamp": 1790000000}\n')
    local = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())

    class Remote:
        from_uri = staticmethod(lambda uri: (local, uri.removeprefix("s3://")))

    monkeypatch.setattr(sources.pafs, "FileSystem", Remote)
    for logs in ("s3://bucket/logs/a.jsonl", "s3://bucket/logs", "s3://bucket/logs/*.jsonl"):
        found = sources.resolve(logs)
        assert [source.label for source in found] == ["a.jsonl"]
        with found[0].open() as stream:
            assert stream.read().startswith(b'{"prompt"')


@pytest.mark.parametrize(
    ("logs", "log_format", "words"),
    [
        ("", "auto", "no logs given"),
        ("nowhere.jsonl", "auto", "do not exist"),
        ("nothing-*.jsonl", "auto", "no log files"),
        ("x", "xml", "unknown log format"),
    ],
)
def test_logs_that_are_not_there(tmp_path, monkeypatch, logs, log_format, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(IntakeError, match=words):
        run(logs, tmp_path / "s", log_format)


def test_a_file_that_is_no_parquet(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"nope")
    with pytest.raises(IntakeError, match="not a Parquet file"):
        run(tmp_path / "x.parquet", tmp_path / "s")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(IntakeError, match="not a readable Parquet file"):
        run(tmp_path / "x.parquet", tmp_path / "s")

"""Whatever comes in: no crash, and every row accounted for. Mutated golden rows, and libFuzzer on the readers."""

import importlib.util
import json
import random
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.intake.ingest import ingest
from flywheel.components.store import delta_table

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden"
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def module(name):
    spec = importlib.util.spec_from_file_location(f"intake_fuzz_{name}", HERE / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


readers, mutations = module("readers"), module("mutations")
ROWS = [json.loads(line) for path in sorted(GOLDEN.glob("*.jsonl")) for line in path.read_bytes().splitlines()]


ID_STARTS = ("a1b2c3d4e5f6", "67f6740bbe1d", "019aa07d", "019aa07e", "tr-", "k-", "chatcmpl-", "i1")


def renumbered(row, number):
    """The row with ids of its own: the copies of a golden row are different interactions."""
    text = json.dumps(row)
    for start in ID_STARTS:
        text = text.replace(start, f"{start[:-4] if len(start) == 12 else start}{number:04x}")
    return json.loads(text)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(row=st.sampled_from(ROWS), seed=st.integers(0, 2**32), name=st.integers(0, 47))
def test_a_mutated_row_of_any_format_is_read_or_refused(row, seed, name):
    """`read_everything` asserts that every line is in a row."""
    data = mutations.line(row, random.Random(seed))
    readers.read_everything(bytes([name]) + data)
    counts = readers.read_everything(b"\0" + data)  # auto, JSON lines
    assert sum(counts.values()) >= (1 if data.strip() else 0)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.binary(max_size=200), name=st.integers(0, 47))
def test_any_bytes_are_read_or_refused(data, name):
    readers.read_everything(bytes([name]) + data)


@pytest.mark.slow
def test_ten_thousand_mutated_rows_through_intake(tmp_path):
    """10,000 records that fuzzing made of the golden ones, through the real intake into a real store.

    Counted beside intake: a line of the file is either in a row of the tables, or one of the duplicates.
    """
    rng = random.Random(20261121)
    lines = [b'{"prompt": "first", "response": "a", "timestamp": 1790000000}']
    while len(lines) < 10_000:
        line = mutations.line(renumbered(rng.choice(ROWS), rng.randrange(500)), rng)
        if line.strip():
            lines.append(line)
    (tmp_path / "log.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    summary = ingest(str(tmp_path / "log.jsonl"), str(tmp_path / "s"), "run", now=NOW, max_line_bytes=100_000)
    summary.record("run")  # rows in = accepted + duplicates + quarantined
    tables = {
        name: delta_table.read(delta_table.latest(str(tmp_path / "s"), name)).to_pylist()
        for name in ("interactions", "feedback", "quarantine")
    }
    assert len(tables["quarantine"]) == sum(summary.quarantined.values())
    origins = [json.loads(row["attributes"])["intake"] for name in ("interactions", "feedback") for row in tables[name]]
    accepted = {(origin["line"], origin.get("part", 0)) for origin in origins}
    assert len(accepted) == summary.accepted
    seen = {line for line, _ in accepted} | {row["line"] for row in tables["quarantine"]}
    halves = sum(b"org.kubeflow.serving" in line for line in lines)  # two lines are one row
    assert len(set(range(1, len(lines) + 1)) - seen) <= summary.duplicates + halves
    assert summary.accepted > 1000
    assert set(summary.formats) == {
        "feedback", "openai", "preferences", "otel", "openinference", "langfuse", "tensorzero", "kserve",
    }  # fmt: skip
    again = ingest(str(tmp_path / "log.jsonl"), str(tmp_path / "s"), "run", now=NOW, max_line_bytes=100_000)
    assert (again.rows_in, again.accepted, again.quarantined) == (
        summary.rows_in, summary.accepted, summary.quarantined,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this Python")
def test_libfuzzer_finds_no_input_that_breaks_a_reader(tmp_path):
    """12,000 runs, guided by coverage; a broken reader ends the process, and its input is in the output."""
    done = subprocess.run(
        [sys.executable, str(HERE / "fuzz_readers.py"), "-runs=12000", "-seed=7", "-max_len=20000",
         f"-artifact_prefix={tmp_path}/", str(tmp_path / "corpus")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-1000:]
    assert "Done 12000 runs" in done.stderr
    assert len(list((tmp_path / "corpus").iterdir())) > 200  # it found branches that the seeds do not reach

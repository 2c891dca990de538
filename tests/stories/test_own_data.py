"""A person's own logs and model, good and bad: clear last lines, exit codes, never a traceback."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
ROOT = Path(__file__).parents[2]
ROW = {
    "schema": "flywheel.feedback/v1",
    "interaction": "i1",
    "user": "u1",
    "timestamp": "2026-01-05T10:00:00Z",
    "messages": [{"role": "user", "content": "How far is the moon?"}],
    "response": "400 km.",
    "signals": {"rating": -1, "correction": "About 384,400 km.", "surprise": 1},
    "unknown_field": {"kept": True},
}


@pytest.fixture
def model(tmp_path):
    """A model folder that can be checked and registered; no test here comes as far as loading it."""
    folder = tmp_path / "model"
    folder.mkdir()
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0\0\0\0")
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "tokenizer.json").write_text("{}")
    return folder


def run(tmp_path, logs: bytes, model, *more: str):
    path = tmp_path / "logs.jsonl"
    path.write_bytes(logs)
    command = [sys.executable, "-m", "flywheel.scripts.command.app", "run", "--logs", str(path), "--model", str(model)]
    command += ["--runs", str(tmp_path / "runs"), "--run-id", "mine", *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, cwd=ROOT)


def test_one_row_is_held_with_the_number_missing(tmp_path, model):
    done = run(tmp_path, json.dumps(ROW).encode(), model)
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.strip().splitlines()
    assert last[-2].startswith("decision: held - not enough data, have 1, need 200")
    assert (tmp_path / "runs" / "mine" / "report.html").exists()


def test_the_same_run_again_continues(tmp_path, model):
    first = run(tmp_path, json.dumps(ROW).encode(), model)
    again = run(tmp_path, json.dumps(ROW).encode(), model)
    assert (first.returncode, again.returncode) == (0, 0)
    assert again.stdout.strip().splitlines()[-2] == first.stdout.strip().splitlines()[-2]


def test_an_empty_log_is_held(tmp_path, model):
    done = run(tmp_path, b"", model)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "decision: held - not enough data, have 0, need 200" in done.stdout


def test_a_log_of_nothing_readable_ends_with_a_clear_message(tmp_path, model):
    done = run(tmp_path, b"\x00\xff" * 500, model)
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "none of its first 1 rows can be read" in said
    assert "Traceback" not in said
    assert 'File "' not in said


def test_rows_of_every_bad_kind_are_counted(tmp_path, model):
    bad = [
        b"not json",
        b'{"a": 1}',
        json.dumps(ROW | {"interaction": "i2"}).encode("utf-16"),
        b'{"messages": "' + b"x" * (10 << 20) + b'"}',
        json.dumps(ROW | {"interaction": "i3", "timestamp": "2999-01-01T00:00:00Z"}).encode(),
        json.dumps(ROW | {"interaction": "i4", "timestamp": "yesterday"}).encode(),
    ]
    done = run(tmp_path, b"\n".join([json.dumps(ROW).encode(), *bad]), model)
    assert done.returncode == 0, done.stdout + done.stderr
    intake = next(line for line in done.stdout.splitlines() if "intake_feedback" in line)
    for reason in ("not_json", "invalid_record", "line_too_long", "timestamp_in_future"):
        assert reason in intake
    assert "1 accepted" in intake


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda m: (m / "model.safetensors").unlink(), "no *.safetensors"),
        (lambda m: (m / "pytorch_model.bin").write_bytes(b"x"), "pickles"),
    ],
    ids=["no-safetensors", "pickles"],
)
def test_a_model_that_cannot_be_trusted_is_refused(tmp_path, model, spoil, words):
    spoil(model)
    done = run(tmp_path, json.dumps(ROW).encode(), model)
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert words in said
    assert "what to do" in said or "save" in said or "convert" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--logs", "x"), "needs both"),
        (("--story", "good", "--logs", "x", "--model", "y"), "not both"),
        (("--story", "sad"), "sad"),
        (("--set", "no_such=1"), "no_such"),
        (("--run-id", "../x"), "plain folder name"),
    ],
)
def test_a_wrong_command_line_exits_with_2(words, message, tmp_path):
    command = [sys.executable, "-m", "flywheel.scripts.command.app", "run", "--runs", str(tmp_path), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr

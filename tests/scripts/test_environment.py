"""scripts/run, scripts/test and scripts/bench say clearly what a machine lacks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def prepare(tmp_path, **environment):
    done = subprocess.run(
        ["bash", "-c", "source scripts/environment.sh && prepare_environment && echo ready"],
        cwd=ROOT,
        env={**os.environ, "FLYWHEEL_PYTHON": sys.executable, "FLYWHEEL_VENV": str(tmp_path / "venv"), **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_python_too_old(tmp_path):
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")  # what the version check of an old Python exits with
    old.chmod(0o755)
    code, said = prepare(tmp_path, FLYWHEEL_PYTHON=str(old))
    assert code == 1
    assert "no Python 3.11, 3.12 or 3.13" in said
    assert "what to do: install Python 3.11 or newer" in said


def test_disk_too_small(tmp_path):
    code, said = prepare(tmp_path, FLYWHEEL_NEEDED_MIB="999999999")
    assert code == 1
    assert "MiB are free" in said
    assert "free some space" in said


@pytest.mark.slow
def test_index_out_of_reach(tmp_path):
    nowhere = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_RETRIES": "0",
        "FLYWHEEL_NEEDED_MIB": "1",
    }
    code, said = prepare(tmp_path, **nowhere)
    assert code == 1
    assert "the Python package index is out of reach" in said
    assert "check the network" in said
    assert not (tmp_path / "venv" / ".installed").exists()


def test_an_environment_with_its_stamp_is_not_installed_again(tmp_path):
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    stamp = subprocess.run(
        ["bash", "-c", 'source scripts/environment.sh && wanted_stamp "$FLYWHEEL_PYTHON"'],
        cwd=ROOT,
        env={**os.environ, "FLYWHEEL_PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (venv / ".installed").write_text(stamp)
    code, said = prepare(tmp_path)
    assert (code, said) == (0, "ready\n")

"""Each story is run once, through the command that a person types."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Told:
    """A story that was run."""

    folder: Path
    code: int
    output: str

    @property
    def run_id(self) -> str:
        return self.folder.name

    @property
    def store(self) -> str:
        return str(self.folder / "store")

    @property
    def registry(self) -> str:
        return f"sqlite:///{self.folder / 'registry.db'}"

    @property
    def decision(self) -> str:
        return re.findall(r"^decision: (.*?) - ", self.output, re.MULTILINE)[-1]

    def artifact(self, pattern: str) -> Path:
        (found,) = sorted((self.folder / "pipeline").glob(f"*/{pattern}"))
        return found


@pytest.fixture(scope="session")
def tell(tmp_path_factory):
    """Run a story, once a session, for all workers; trained production models are kept under runs/.cache."""
    own = tmp_path_factory.getbasetemp()
    runs = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "stories"
    cache = ROOT / "runs" / ".cache"
    cache.mkdir(parents=True, exist_ok=True)
    runs.mkdir(exist_ok=True)
    with FileLock(runs / ".cache.lock"):
        if not (runs / ".cache").is_symlink():
            (runs / ".cache").symlink_to(cache)

    def run(story: str) -> Told:
        told = runs / f"{story}.json"
        with FileLock(runs / f"{story}.lock"):
            if not told.exists():
                command = [sys.executable, "-m", "flywheel.scripts.command.app", "run"]
                command += ["--story", story, "--runs", str(runs), "--run-id", story]
                done = subprocess.run(command, capture_output=True, text=True, timeout=1000, check=False, cwd=ROOT)
                told.write_text(json.dumps([done.returncode, done.stdout + done.stderr]))
        return Told(runs / story, *json.loads(told.read_text()))

    return run

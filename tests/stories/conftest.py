"""Each story is run once, through the command that a person types."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

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
    """Run a story, once a session; trained production models are kept between sessions under runs/.cache."""
    runs = tmp_path_factory.mktemp("runs")
    cache = ROOT / "runs" / ".cache"
    cache.mkdir(parents=True, exist_ok=True)
    (runs / ".cache").symlink_to(cache)
    told: dict[str, Told] = {}

    def run(story: str) -> Told:
        if story not in told:
            command = [sys.executable, "-m", "flywheel.scripts.command.app", "run"]
            command += ["--story", story, "--runs", str(runs), "--run-id", story]
            done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False, cwd=ROOT)
            told[story] = Told(runs / story, done.returncode, done.stdout + done.stderr)
        return told[story]

    return run

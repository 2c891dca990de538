"""Where a training job runs: what `train` asks of a launcher, and the launcher on this machine."""

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from flywheel.components.training.job import TrainingJob, TrainingResult
from flywheel.components.training.local_launcher import launch, result_of
from flywheel.components.training.process_environment import cores, devices

_FOLDER = ".training-jobs"


@dataclass(frozen=True)
class World:
    """What a job has to run on."""

    device: Literal["cpu", "cuda"]
    processes: int
    device_bytes: float  # memory of one device, on CPU of one process's share; 0: unknown


@dataclass(frozen=True)
class Launched:
    """How a job ended well: result and export lie in its work folder."""

    result: TrainingResult
    adopted: bool  # the model was there already
    details: dict[str, Any] = field(default_factory=dict)  # for the step's record


class Backend(Protocol):
    """A place to run jobs."""

    def world(self, processes: int, rows: int) -> World:
        """Find out what there is, and refuse what it cannot do.

        Args:
            processes: Asked for.
            rows: Training rows; every process needs one.

        Raises:
            ValueError: It cannot; nothing was started.
        """

    def folder(self, fingerprint: str, output: Path) -> Path:
        """Tell where the job's work folder is, seen from this process.

        Args:
            fingerprint: The job's.
            output: Model folder that will be made.
        """

    def launch(self, job: TrainingJob, say: Callable[[str], None]) -> Launched:
        """Run a job to its end, or find that it has been run.

        Raises:
            TrainingFailed: Why there is no model.
        """


@dataclass(frozen=True)
class LocalBackend:
    """`torchrun` on this machine."""

    work: str = ""  # folder for work folders; "": next to the output
    timeout_seconds: float = 86400.0  # wall time for one attempt

    def world(self, processes: int, rows: int) -> World:
        """See `Backend`."""
        device, available = devices()
        most = available if device == "cuda" else max(2, cores())
        if not 1 <= processes <= most:
            unit = "GPUs" if device == "cuda" else "CPU cores"
            raise ValueError(f"{processes} training processes on {available} {unit}; give between 1 and {most}")
        if processes > rows:
            raise ValueError(f"{processes} training processes for {rows} rows; give at most one process a row")
        return World(device, processes, _gpu_bytes() if device == "cuda" else _memory_bytes() / processes)

    def folder(self, fingerprint: str, output: Path) -> Path:
        """See `Backend`."""
        return (Path(self.work) if self.work else output.parent / _FOLDER) / fingerprint

    def launch(self, job: TrainingJob, say: Callable[[str], None]) -> Launched:
        """See `Backend`."""
        adopted = result_of(job) is not None
        return Launched(launch(job, say, self.timeout_seconds), adopted)


def _memory_bytes() -> float:
    """Memory that this process may use: the machine's, or less where a cgroup limits it."""
    found = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"))
    total = float(found[1]) * 1024 if found else 0.0
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        text = Path(limit).read_text(encoding="ascii").strip() if Path(limit).is_file() else ""
        if text.isdigit():
            total = min(total or float(text), float(text))
    return total


def _gpu_bytes() -> float:
    """Memory of the smallest GPU, from the driver's own tool (torch would take a second to import); 0: unknown."""
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return 0.0
    sizes = [float(line) for line in told.split("\n") if line.strip().replace(".", "").isdigit()]
    return min(sizes, default=0.0) * 2**20

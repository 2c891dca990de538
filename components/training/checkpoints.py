"""Which checkpoints of a job can be trusted after a kill at any moment.

The Trainer writes a checkpoint as many files over many processes. A checkpoint counts only when a marker stands in it,
written after all ranks have finished theirs. DeepSpeed's files are pickles: they are read back from the job's own work
folder and from nowhere else, and never leave it.
"""

import os
import shutil
from pathlib import Path

MARKER = "complete.json"
PREFIX = "checkpoint-"


def mark_complete(folder: Path) -> None:
    """Say that all ranks have finished writing a checkpoint; call on one rank, after a barrier."""
    temporary = folder / f".{MARKER}"
    with temporary.open("w", encoding="utf-8") as file:
        file.write("{}\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / MARKER)


def step_of(folder: Path) -> int:
    """Return the step a checkpoint folder belongs to, -1 for a folder that is no checkpoint."""
    number = folder.name.removeprefix(PREFIX)
    return int(number) if folder.name.startswith(PREFIX) and number.isdigit() else -1


def newest_complete(folder: Path) -> Path | None:
    """Find the newest checkpoint with a marker; None when there is none."""
    whole = [path for path in folder.glob(f"{PREFIX}*") if step_of(path) >= 0 and (path / MARKER).is_file()]
    return max(whole, key=step_of, default=None)


def remove_incomplete(folder: Path) -> list[str]:
    """Remove what a kill left half written; call on one rank, before training.

    Returns:
        Names of the folders removed.
    """
    broken = [path for path in sorted(folder.glob(f"{PREFIX}*")) if not (path / MARKER).is_file()]
    for path in broken:
        shutil.rmtree(path)
    return [path.name for path in broken]

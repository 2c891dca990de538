"""Progress of a job as JSON lines: written by rank 0, read by whoever waits."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def append(path: Path, **fields: Any) -> None:
    """Add one line; a reader sees it whole or not yet."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"at": round(time.time(), 3), **fields}) + "\n")


@dataclass
class Follower:
    """Reads the lines that were added since the last look."""

    path: Path
    offset: int = 0

    def new_lines(self) -> list[dict[str, Any]]:
        """Return the whole lines added since the last call; a line that is still being written waits."""
        if not self.path.is_file():
            return []
        with self.path.open("rb") as file:
            file.seek(self.offset)
            added = file.read()
        whole, _, _ = added.rpartition(b"\n")
        if not whole:
            return []
        self.offset += len(whole) + 1
        return [json.loads(line) for line in whole.split(b"\n") if line.strip()]


def words(line: dict[str, Any]) -> str:
    """Render a progress line for people.

    Args:
        line: Either {"stage": text} or step, total, loss, tokens_per_second and seconds_left.

    Returns:
        One line of text.
    """
    if "stage" in line:
        return f"training: {line['stage']}"
    return (
        f"training: step {line['step']}/{line['total']}  loss {line['loss']:.4f}  "
        f"{line['tokens_per_second']:,.0f} tokens/s  {line['seconds_left']:.0f} s left"
    )

"""Ours: intake, deduplication of documents and every stage of curation, each a process of its own (`scale_step.py`)."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

STEPS = ("intake", "documents", "deduplicate", "classify", "route", "cluster", "mine_preferences")


def run(data: Path, out: Path) -> dict[str, Any]:
    """Run the steps one after the other; what each took, by its name."""
    script = Path(__file__).with_name("scale_step.py")
    found = {}
    for name in STEPS:
        done = subprocess.run(
            [sys.executable, str(script), name, str(data), str(out)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"step {name} failed:\n{done.stderr[-2000:]}")
        found[name] = json.loads(done.stdout.splitlines()[-1])
    return found

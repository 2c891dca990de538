"""Venvs of the peers: made once by pip under the user's cache folder, named after what is in them."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path


class MissingPeerError(RuntimeError):
    """A peer cannot be installed here; the message says why."""


def cache() -> Path:
    """Folder of venvs and data: `$FLYWHEEL_BENCH_CACHE`, else `flywheel-bench` in the user's cache folder."""
    chosen = os.environ.get("FLYWHEEL_BENCH_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(chosen) if chosen else Path(base) / "flywheel-bench"


def python_of(requirements: tuple[str, ...]) -> Path:
    """The interpreter that has the requirements.

    Args:
        requirements: As pip takes them; empty: this project's own Python.

    Returns:
        Path of the interpreter.

    Raises:
        MissingPeerError: pip cannot install them.
    """
    if not requirements:
        return Path(sys.executable)
    named = "\n".join([*sorted(requirements), f"{sys.version_info[0]}.{sys.version_info[1]}"])
    folder = cache() / "venvs" / hashlib.sha256(named.encode()).hexdigest()[:16]
    python, done = folder / "bin" / "python", folder / "installed.txt"
    if done.is_file():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    made = subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        lines = [line for line in made.stderr.strip().splitlines() if line.startswith("ERROR")] or ["pip failed"]
        shutil.rmtree(folder, ignore_errors=True)
        raise MissingPeerError(f"pip cannot install {' '.join(requirements)}: {lines[-1].removeprefix('ERROR: ')}")
    done.write_text(named, encoding="utf-8")
    return python

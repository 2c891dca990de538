"""Compile the pipelines to versioned IR YAML, byte-stable, so that Git shows only real changes.

KFP names nested components in the order in which protobuf's maps are iterated. With the C implementation that order
differs from process to process; so the compiler runs in a process with the Python one, whose maps keep their order.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from flywheel.pipelines import catalogue, lean_yaml

COMPILED = Path(__file__).parent / "compiled"


def compile_all(folder: Path = COMPILED) -> list[Path]:
    """Write one YAML file a pipeline.

    Args:
        folder: Where the files go.

    Returns:
        The files, in the catalogue's order.

    Raises:
        ValueError: A pipeline does not compile; the message is the compiler's.
    """
    command = [sys.executable, "-m", "flywheel.pipelines.compile", str(folder)]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ValueError(f"the pipelines do not compile: {done.stderr.strip()[-2000:]}")
    return [folder / _file_name(name) for name in catalogue.PIPELINES]


def _compile_here(folder: Path) -> None:
    from kfp import compiler

    folder.mkdir(parents=True, exist_ok=True)
    for name in catalogue.PIPELINES:
        compiler.Compiler().compile(catalogue.load(name), str(folder / _file_name(name)))
        lean_yaml.slim(folder / _file_name(name))


def _file_name(name: str) -> str:
    return f"{name.replace('-', '_')}.yaml"


def drifted(folder: Path = COMPILED) -> list[str]:
    """Compile afresh and compare with what is committed.

    Returns:
        Names of files that are missing, differ, or belong to no pipeline.
    """
    with tempfile.TemporaryDirectory() as fresh:
        expected = {path.name: path.read_bytes() for path in compile_all(Path(fresh))}
    present = {path.name: path.read_bytes() for path in sorted(folder.glob("*.yaml"))}
    return sorted(name for name in expected.keys() | present.keys() if expected.get(name) != present.get(name))


if __name__ == "__main__":
    _compile_here(Path(sys.argv[1]))

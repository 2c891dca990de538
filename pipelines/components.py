"""Every KFP component of the collection, by room; and each as its own compiled YAML for pipelines that are not ours."""

import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from flywheel.pipelines.lean_yaml import slim

ROOT = Path(__file__).parents[1] / "components"


def modules() -> dict[str, str]:
    """Return the modules that hold components: name -> room."""
    found = {}
    for path in sorted(ROOT.glob("**/component.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(("flywheel", "components", *parts))] = parts[0]
    return found


def components() -> dict[tuple[str, str], Any]:
    """Load every component.

    Returns:
        (room, function name) -> KFP component, in the order of the source files.
    """
    from kfp.dsl.python_component import PythonComponent

    found = {}
    for module, room in modules().items():
        for name, one in vars(importlib.import_module(module)).items():
            if isinstance(one, PythonComponent) and one.python_func.__module__ == module:
                found[room, name] = one
    return found


def compile_components(root: Path = ROOT) -> list[Path]:
    """Write `<room>/compiled/<component>.yaml` for every component, byte-stable, and remove what has no component.

    Args:
        root: Folder of the rooms.

    Returns:
        The files.

    Raises:
        ValueError: A component does not compile; the message is the compiler's.
    """
    command = [sys.executable, "-m", "flywheel.pipelines.components", str(root)]
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ValueError(f"the components do not compile: {done.stderr.strip()[-2000:]}")
    written = [root / room / "compiled" / f"{name}.yaml" for room, name in components()]
    for path in set(root.glob("*/compiled/*.yaml")) - set(written):
        path.unlink()
    return written


def drifted(root: Path = ROOT) -> list[str]:
    """Compile afresh and name the files that are missing, differ or belong to no component."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        expected = {str(path.relative_to(fresh)): path.read_bytes() for path in compile_components(fresh)}
    present = {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.glob("*/compiled/*.yaml"))}
    return sorted(name for name in expected.keys() | present.keys() if expected.get(name) != present.get(name))


def _compile_here(root: Path) -> None:
    from kfp import compiler

    for (room, name), component in components().items():
        target = root / room / "compiled" / f"{name}.yaml"
        target.parent.mkdir(parents=True, exist_ok=True)
        compiler.Compiler().compile(component, str(target))
        slim(target)


if __name__ == "__main__":
    _compile_here(Path(sys.argv[1]))

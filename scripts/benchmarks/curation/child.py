"""Runs one peer's script and measures it; needs the standard library only, since it runs in the peer's own venv."""

import importlib.metadata
import importlib.util
import json
import resource
import sys
import time
from pathlib import Path


def cpu_seconds() -> float:
    """CPU time of this process and of its children that were waited for, user and system."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def peak_mebibytes() -> float:
    """Largest resident set of this process since it began, or of a child of it that was waited for.

    `ru_maxrss` of a process begins at the size of the one that started it, so Linux's own figure is preferred.
    """
    status = Path("/proc/self/status")
    own = float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    if status.is_file():
        own = float(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")))
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024


def main(script: str, data: str, out: str, versions: str) -> None:
    """Run a script's `run(data, out)` and write `out/measured.json`.

    Args:
        script: Path of the script.
        data: Folder of the records.
        out: Folder of the results.
        versions: Distributions to name, separated by commas.

    Raises:
        Exception: Whatever the script raises.
    """
    spec = importlib.util.spec_from_file_location("peer", script)
    if spec is None or spec.loader is None:
        raise ImportError(f"{script} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules["peer"] = module  # pools of processes find the functions by this name
    spec.loader.exec_module(module)
    if hasattr(module, "prepare"):
        module.prepare(Path(data))
    began, used = time.monotonic(), cpu_seconds()
    result = module.run(Path(data), Path(out))
    spent, passed = cpu_seconds() - used, time.monotonic() - began
    found = {}
    for name in filter(None, versions.split(",")):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "?"
    Path(out, "measured.json").write_text(
        json.dumps({"cpu": spent, "wall": passed, "peak": peak_mebibytes(), "result": result, "versions": found}),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])

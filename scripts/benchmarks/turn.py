"""One whole turn (`scripts/run --story good`): wall time, CPU time, peak memory; first use and cached."""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

GOAL_SECONDS = 180.0
GOAL_MIB = 4096.0


@dataclass(frozen=True)
class Measured:
    """One run of a command."""

    wall: float  # seconds
    cpu: float  # seconds, user and system, of the whole process tree
    peak: float  # MiB, proportional set size summed over the process tree, sampled
    code: int


def measure(command: list[str], interval: float = 0.5) -> Measured:
    """Run a command and watch its process tree.

    Args:
        command: Program and arguments.
        interval: Seconds between two looks at the memory.

    Returns:
        What it took. CPU time is that of children that were waited for, as `wait4` reports it.
    """
    import os

    import psutil

    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak, ended = [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(interval):
            total = 0
            try:
                tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            for one in tree:
                try:
                    total += one.memory_full_info().pss
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue  # it ended between the two looks
            peak[0] = max(peak[0], total / 2**20)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    ended.set()
    watcher.join()
    return Measured(
        time.monotonic() - began, usage.ru_utime + usage.ru_stime, peak[0], os.waitstatus_to_exitcode(status)
    )


def main(arguments: list[str]) -> int:
    """Measure turns of the good story.

    Args:
        arguments: `--warm N`, `--story NAME`.

    Returns:
        0 when every run succeeded and the goals hold, else 1.
    """
    parser = argparse.ArgumentParser(prog="scripts/bench turn", description=__doc__)
    parser.add_argument("--warm", type=int, default=3, help="runs after the first")
    parser.add_argument("--story", default="good")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="flywheel-bench-"))
    command = [
        sys.executable,
        "-m",
        "flywheel.scripts.command.app",
        "run",
        "--story",
        options.story,
        "--runs",
        str(folder),
    ]
    try:
        cold = measure(command)
        warm = [measure(command) for _ in range(options.warm)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{'run':<22}{'wall s':>9}{'CPU s':>9}{'peak MiB':>10}")
    print(f"{'first (trains model)':<22}{cold.wall:>9.1f}{cold.cpu:>9.1f}{cold.peak:>10.0f}")
    for name, pick in (("cached, median", statistics.median), ("cached, worst", max)):
        if warm:
            columns = [pick([getattr(one, field) for one in warm]) for field in ("wall", "cpu", "peak")]
            print(f"{name:<22}{columns[0]:>9.1f}{columns[1]:>9.1f}{columns[2]:>10.0f}")
    everything = [cold, *warm]
    worst, most = max(one.wall for one in everything), max(one.peak for one in everything)
    kept = worst <= GOAL_SECONDS and most <= GOAL_MIB and not any(one.code for one in everything)
    print(f"goals: wall <= {GOAL_SECONDS:.0f} s, peak <= {GOAL_MIB:.0f} MiB: {'kept' if kept else 'MISSED'}")
    return 0 if kept else 1

"""The intake service as a child process on loopback, with what the kernel says about its CPU time."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil

_START_SECONDS = 90


class ServiceProcess:
    """One process of the service; `kill` is SIGKILL, `stop` is SIGTERM."""

    def __init__(self, root: Path, *options: str) -> None:
        self.store = root / "store"
        self.segments = root / "segments"
        self.port = _free_port()
        command = [sys.executable, "-m", "flywheel.scripts.command.app", "serve-intake", "--insecure-no-auth"]
        command += [f"--store={self.store}", f"--segments={self.segments}", f"--port={self.port}", *options]
        environment = {name: text for name, text in os.environ.items() if not name.startswith("FLYWHEEL_INTAKE_")}
        self._log = root / "service.log"
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        self._wait()

    def cpu_seconds(self) -> tuple[float, float]:
        """CPU seconds so far of the server and of its mover."""
        server = psutil.Process(self._child.pid)
        own, movers = server.cpu_times(), [child.cpu_times() for child in server.children()]
        return own.user + own.system, sum(one.user + one.system for one in movers)

    def metric(self, name: str) -> float:
        """Return the sum of a metric's samples."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def kill(self) -> None:
        """End it as a crash would."""
        self._child.send_signal(signal.SIGKILL)
        self._child.wait()

    def stop(self) -> int:
        """End it as Kubernetes would; returns the exit code."""
        self._child.terminate()
        return self._child.wait(120)

    def left(self) -> list[Path]:
        """Return segments that are not in the store."""
        found = [*self.segments.rglob("*.seg"), *self.segments.rglob("*.open")]
        return [path for path in found if path.exists()]

    def _wait(self) -> None:
        until = time.monotonic() + _START_SECONDS
        while True:
            if self._child.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the service did not start: {self._log.read_text()[-2000:]}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2):
                    return
            except OSError:
                time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

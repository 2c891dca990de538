"""A model server as a child process on loopback: started, waited for, and always stopped."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

_STOP_S = 3.0


class ServerFailedError(RuntimeError):
    """A model server did not start, or died; the message holds the end of its log."""


class ServerProcess:
    """One `model_server` process in its own process group.

    The child asks the kernel to be killed when the thread that started it ends, so even SIGKILL of the step leaves no
    server behind. Start it from a thread that lives as long as the server shall.

    Args:
        model_dir: Model folder.
        name: Name of the served model.
        log: File for the server's output; replaced.
        max_new_tokens: Longest answer, tokens.
    """

    def __init__(self, model_dir: str | Path, name: str, log: Path, max_new_tokens: int = 48) -> None:
        self.name = name
        self._model_dir = Path(model_dir)
        self._log = log
        self._max_new_tokens = max_new_tokens
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Chat completions address of the server."""
        return f"http://127.0.0.1:{self._port}/openai/v1/chat/completions"

    @property
    def ready_url(self) -> str:
        """KServe V1 readiness address of the model."""
        return f"http://127.0.0.1:{self._port}/v1/models/{self.name}"

    @property
    def pid(self) -> int:
        """Process id; 0 before the start."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start the process; it is not ready yet."""
        self._port = _free_port()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "flywheel.components.deployment.serving.model_server"]
        command += ["--model-dir", str(self._model_dir), "--model-name", self.name]
        command += ["--http-port", str(self._port), "--max-new-tokens", str(self._max_new_tokens)]
        command += ["--parent", str(os.getpid())]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "DS_ACCELERATOR": "cpu"}
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment,
            )

    def check(self) -> None:
        """Raise when the process is not running.

        Raises:
            ServerFailedError: It was not started or has ended.
        """
        code = self._process.poll() if self._process else None
        if self._process is None or code is not None:
            raise ServerFailedError(f"the {self.name} server ended with exit code {code}: {self.log_tail()}")

    def log_tail(self, lines: int = 5) -> str:
        """Return the end of the server's output."""
        if not self._log.is_file():
            return "(no output)"
        text = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return " | ".join(text[-lines:]) or "(no output)"

    def stop(self) -> None:
        """Stop the process group: SIGTERM, then SIGKILL; returns when it is gone. May be called again."""
        process, self._process = self._process, None
        if process is None:
            return
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):  # ended by itself in the meantime
                os.killpg(process.pid, sign)
            deadline = time.monotonic() + _STOP_S
            while time.monotonic() < deadline:
                if process.poll() is not None:
                    return
                time.sleep(0.02)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

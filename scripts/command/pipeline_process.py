"""Run a pipeline in a child process and follow its steps."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from flywheel.scripts.command.step_log import StepEvent, events

QUIET_ENVIRONMENT = {
    "PYTHONUNBUFFERED": "1",
    "PYTHONWARNINGS": "ignore",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "DO_NOT_TRACK": "1",
}


def run_pipeline(pipeline: str, parameters: dict[str, Any], folder: Path, follow: Callable[[StepEvent], None]) -> int:
    """Run one pipeline to its end; interrupting this process ends the whole tree of child processes.

    Args:
        pipeline: Name in the catalogue.
        parameters: Arguments of the pipeline.
        folder: Run folder; gets `parameters.json`, `pipeline.log` and `pipeline/` with the artifacts.
        follow: Called for each event while the pipeline runs.

    Returns:
        Exit code of the child: 0 success, 3 a step failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parameters_file = folder / "parameters.json"
    parameters_file.write_text(json.dumps(parameters, indent=2) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "flywheel.pipelines.local_run", pipeline, parameters_file, folder / "pipeline"]
    process = subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, **QUIET_ENVIRONMENT},
        start_new_session=True,  # one group, so that an interrupt reaches torchrun and the model servers too
    )
    try:
        with (folder / "pipeline.log").open("a", encoding="utf-8") as log:
            for event in events(_copied(process, log)):
                follow(event)
        return process.wait()
    except BaseException:
        _end(process)
        raise


def _copied(process: subprocess.Popen[str], log: Any) -> Iterator[str]:
    if process.stdout is None:
        raise RuntimeError("the child process has no output to follow")
    for line in process.stdout:
        log.write(line)
        log.flush()
        yield line


def _end(process: subprocess.Popen[str]) -> None:
    """Ask the process group to stop (steps restore traffic on SIGTERM), then insist."""
    for sign, patience in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, sign)
            process.wait(timeout=patience)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue

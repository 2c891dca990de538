"""Run a job as local processes: start `torchrun`, show progress, stop it for certain, say why it failed."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from flywheel.components.training import checkpoints, progress, weights
from flywheel.components.training.failure import RankFailure, TrainingFailed, exit_words
from flywheel.components.training.job import TrainingJob, TrainingResult
from flywheel.components.training.process_environment import process_environment
from flywheel.components.training.termination import sigterm_raises

_LOOK_EVERY = 0.1  # seconds
_GRACE = 10.0  # seconds between SIGTERM and SIGKILL
_TAIL = 12  # log lines of the failing rank in the error
_ROOT_CAUSE = re.compile(r"Root Cause.*?rank\s*:\s*(\d+).*?exitcode\s*:\s*(-?\d+)", re.DOTALL)


def launch(
    job: TrainingJob, say: Callable[[str], None], timeout_seconds: float = 86400.0, attempts: int = 3
) -> TrainingResult:
    """Run a job to its end, or find that it has been run.

    A failure that may pass (a killed process, a lost connection) is retried from the last whole checkpoint. Whether
    the job succeeded is read from its result file and the model's digest, never from the exit status alone.

    Args:
        job: The job; `job.work` is made.
        say: Called with lines of progress for people.
        timeout_seconds: Wall time for one attempt.
        attempts: Times the job is started at most.

    Returns:
        The result; the model lies in `<work>/export`.

    Raises:
        TrainingFailed: Why there is no model, with the failing rank's last words.
    """
    work = Path(job.work)
    work.mkdir(parents=True, exist_ok=True)
    with _only_launcher(work) as lock:
        for attempt in range(1, attempts + 1):
            if (done := result_of(job)) is not None:
                if attempt == 1:
                    say("training: this very job has been done; its model is taken over")
                _clear(work)
                return done
            failure = _attempt(job, say, timeout_seconds, lock)
            if failure is None:
                continue  # the result is there: it is read, and checked, at the head of the loop
            if failure.kind == "fatal" or attempt == attempts:
                raise failure
            say(f"training: {failure}; trying again from the last checkpoint ({attempt} of {attempts} attempts used)")
        if (done := result_of(job)) is None:
            raise TrainingFailed(f"the model in {work} does not have the digest of its result file", "retryable")
        _clear(work)
        return done


def result_of(job: TrainingJob) -> TrainingResult | None:
    """Read the result of a job that is done; None when it is not, or its model is not whole."""
    work = Path(job.work)
    try:
        result = TrainingResult.read(work / "result.json")
        whole = weights.model_digest(work / "export") == result.digest
    except FileNotFoundError:
        return None
    return result if whole and result.fingerprint == job.fingerprint() else None


def _attempt(job: TrainingJob, say: Callable[[str], None], timeout: float, lock: int) -> TrainingFailed | None:
    """Start the processes once and wait for them; None when they left a result."""
    work = Path(job.work)
    shutil.rmtree(work / "failures", ignore_errors=True)
    shutil.rmtree(work / "logs", ignore_errors=True)
    (work / "logs").mkdir()
    (work / "result.json").unlink(missing_ok=True)
    (work / "progress.jsonl").unlink(missing_ok=True)
    job.write(work / "job.json")
    with (work / "logs" / "agent.log").open("wb") as log, sigterm_raises():
        process = subprocess.Popen(
            _command(job),
            env=process_environment(job),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(lock,),  # the lock stays with the processes should this one be killed
        )
        try:
            timed_out = not _follow(process, progress.Follower(work / "progress.jsonl"), say, timeout)
        finally:
            _stop(process)
    if timed_out:
        return TrainingFailed(f"training took longer than {timeout:.0f} s; its checkpoints stay in {work}")
    return None if (work / "result.json").is_file() else _diagnose(work, process.returncode)


def _command(job: TrainingJob) -> list[str]:
    work = Path(job.work)
    torchrun = [sys.executable, "-m", "flywheel.components.training.agent"]
    torchrun += ["--standalone", "--local-addr", "127.0.0.1", "--nproc_per_node", str(job.processes)]
    torchrun += ["--log-dir", str(work / "logs"), "--redirects", "3", "--monitor-interval", "0.1"]
    return [*torchrun, "-m", "flywheel.components.training.run", "--job", str(work / "job.json")]


def _follow(
    process: "subprocess.Popen[bytes]", follower: progress.Follower, say: Callable[[str], None], timeout: float
) -> bool:
    """Pass progress on until the processes end; False when they did not within the time."""
    deadline = time.monotonic() + timeout
    while True:
        ended = process.poll() is not None
        for line in follower.new_lines():
            say(progress.words(line))
        if ended:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_EVERY)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End the whole process group; the workers die with torchrun (see `agent`), however that ends."""
    for number, patience in ((signal.SIGTERM, _GRACE), (signal.SIGKILL, _GRACE)):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)


def _diagnose(work: Path, code: int) -> TrainingFailed:
    """Find the rank that failed first and say what it said last."""
    agent = (work / "logs" / "agent.log").read_text(encoding="utf-8", errors="replace")
    failures = [RankFailure.read(path) for path in sorted((work / "failures").glob("rank-*.json"))]
    cause = _ROOT_CAUSE.search(agent)
    if cause is not None and int(cause[2]) < 0:  # killed from outside: what the others report only follows from it
        kind, told = exit_words(int(cause[2]))
        return TrainingFailed(f"training process {cause[1]} was {told}{_tail(work, int(cause[1]))}", kind)
    if failures:
        first = min(failures, key=lambda failure: (failure.kind == "retryable", failure.at))
        last = "" if first.explained else _tail(work, first.rank)
        return TrainingFailed(f"{first.message} (training process {first.rank}){last}", first.kind)
    kind, told = exit_words(code)
    return TrainingFailed(f"torchrun ended without a result: {told}{_lines(agent)}", kind)


def _tail(work: Path, rank: int) -> str:
    logs = sorted((work / "logs").glob(f"**/{rank}/stderr.log"))
    return _lines(logs[-1].read_text(encoding="utf-8", errors="replace")) if logs else ""


def _lines(text: str) -> str:
    last = [line.rstrip()[:300] for line in text.splitlines() if line.strip()][-_TAIL:]
    return "\nits last log lines:\n  " + "\n  ".join(last) if last else ""


@contextlib.contextmanager
def _only_launcher(work: Path) -> Iterator[int]:
    """Hold the work folder; processes of a launcher that was killed get a moment to be gone.

    Raises:
        TrainingFailed: Another launcher is at work here.
    """
    import fcntl

    handle: IO[str]
    with (work / "lock").open("w", encoding="utf-8") as handle:
        deadline = time.monotonic() + _GRACE
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TrainingFailed(f"another process trains this very job in {work}", "retryable") from None
                time.sleep(_LOOK_EVERY)
        yield handle.fileno()


def _clear(work: Path) -> None:
    """Remove what only an unfinished job needs; export, result, progress and logs stay."""
    for folder in work.glob(f"{checkpoints.PREFIX}*"):
        shutil.rmtree(folder)
    shutil.rmtree(work / "torch_extensions", ignore_errors=True)
    (work / "tokens.arrow").unlink(missing_ok=True)

"""Why a training job ended without a model, and whether running it again can help."""

import re
from typing import Literal

from flywheel.components.contracts.document import Document

Kind = Literal["fatal", "retryable"]

# Exit statuses of a training pod (components/training/agent.py), read by the TrainingRuntime's podFailurePolicy.
FATAL_STATUS = 64
RETRYABLE_STATUS = 75

# A neighbour's death reaches a healthy rank as a broken connection; a lost node or an eviction looks the same.
_PASSING = re.compile(
    r"connection (closed|reset|refused)|broken pipe|socket timeout|timed out|nccl.*(timeout|unhandled system error)|"
    r"store.*timeout|rendezvous|address already in use|no space left on device|stale file handle|input/output error",
    re.IGNORECASE,
)
_OUT_OF_MEMORY = re.compile(r"out of memory|cannot allocate memory|DefaultCPUAllocator", re.IGNORECASE)
_SIGNALS = {6: "SIGABRT", 9: "SIGKILL", 11: "SIGSEGV", 15: "SIGTERM"}


class TrainingFailed(RuntimeError):
    """A training job gave no model; `kind` says whether the same job can succeed when run again, `reason` is a code."""

    def __init__(self, message: str, kind: Kind = "fatal", reason: str = "TRAINING_FAILED"):
        super().__init__(message)
        self.kind: Kind = kind
        self.reason = reason


class RankFailure(Document):
    """What a rank writes about its own end before it leaves, so that nobody has to read a traceback."""

    rank: int
    kind: Kind
    message: str
    explained: bool  # the message says all; otherwise the log's last lines help
    at: float  # seconds since the epoch: the first to fail is the cause, the others follow


def classify(error: BaseException) -> Kind:
    """Tell a failure that may pass by itself from one that will come again.

    Args:
        error: What ended a rank.

    Returns:
        "retryable" for lost connections, time-outs and full or lost disks; "fatal" for everything else, since a
        deterministic job that failed on its data or its settings fails again.
    """
    if isinstance(error, TrainingFailed):
        return error.kind
    if isinstance(error, (ConnectionError, TimeoutError)):
        return "retryable"
    return "retryable" if _PASSING.search(str(error)) else "fatal"


def explains_itself(error: BaseException) -> bool:
    """Whether an error's own text is written for the user: ours, and refusals of input."""
    return isinstance(error, (TrainingFailed, ValueError, FileNotFoundError))


def explain(error: BaseException) -> str:
    """Say in one or two sentences what went wrong and what to do about it."""
    text = str(error).strip() or type(error).__name__
    if _OUT_OF_MEMORY.search(text) or isinstance(error, MemoryError):
        return (
            f"out of memory: {text.splitlines()[0]}; lower batch_size or max_length, raise zero_stage, "
            "or use more processes"
        )
    if explains_itself(error):
        return text
    return f"{type(error).__name__}: {text.splitlines()[0]}"


def exit_words(code: int) -> tuple[Kind, str]:
    """Say what an exit status means for a process that left no word of its own.

    Args:
        code: Exit status as `subprocess` gives it: negative for a signal.

    Returns:
        Whether it may pass, and words for it. A killed process (out of memory, eviction, node lost) may.
    """
    number = -code if code < 0 else code - 128
    if number in _SIGNALS and code != 0:
        hint = " (often the kernel's out-of-memory killer, or an eviction)" if number == 9 else ""
        return "retryable", f"killed by {_SIGNALS[number]}{hint}"
    return "fatal", f"exit status {code}"

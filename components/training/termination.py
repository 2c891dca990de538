"""SIGTERM as an error, so that `finally` and `except` clean up before a step ends."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from flywheel.components.training.failure import TrainingFailed


@dataclass
class _Signals:
    held: bool = False  # SIGTERM has to wait
    waiting: bool = False  # and one does


_signals = _Signals()


@contextlib.contextmanager
def sigterm_raises() -> Iterator[None]:
    """Let SIGTERM unwind the stack; only the main thread may set handlers, elsewhere nothing changes.

    Raises:
        TrainingFailed: SIGTERM came; retryable, reason STOPPED. Only the first raises: the clean-up is not interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if _signals.held:
            _signals.waiting = True
        else:
            raise _stopped()

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        _signals.waiting = False
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def sigterm_waits() -> Iterator[None]:
    """Let SIGTERM wait for the end of a short act whose outcome must be known, then raise as it would have.

    Raises:
        TrainingFailed: SIGTERM came meanwhile.
    """
    _signals.held = True
    try:
        yield
    finally:
        _signals.held = False
        if _signals.waiting:
            _signals.waiting = False
            raise _stopped()


def _stopped() -> TrainingFailed:
    return TrainingFailed("stopped by SIGTERM; run again to continue", "retryable", "STOPPED")

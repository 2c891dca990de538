"""SIGTERM as an error, so that `finally` and `with` clean up before a step ends."""

import contextlib
import signal
import threading
from collections.abc import Iterator

from flywheel.components.training.failure import TrainingFailed


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
        raise TrainingFailed(
            f"stopped by {signal.Signals(number).name}; run again to continue", "retryable", reason="STOPPED"
        )

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

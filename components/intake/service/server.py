"""Run the service in this process until SIGTERM or SIGINT."""

import contextlib
import gc
import signal
import sys
from collections.abc import Iterator
from types import FrameType

import uvicorn

from flywheel.components.intake.service.app import make_app
from flywheel.components.intake.service.parts import Parts
from flywheel.components.intake.service.settings import Settings

_SWITCH_SECONDS = 0.001  # so that the event loop does not wait long for the scribe's thread
_CONNECTIONS = 4096  # each may hold 64 KiB before its request is even looked at
_DRAIN_SECONDS = 10  # for requests that are being answered when the service stops


class _Server(uvicorn.Server):
    """Ends with exit code 0 after a signal; uvicorn would raise the signal again and die of it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        def on_signal(number: int, frame: FrameType | None) -> None:
            self.handle_exit(number, frame)

        before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(settings: Settings) -> int:
    """Serve until told to stop.

    Args:
        settings: Checked settings.

    Returns:
        Exit code: 0 after a clean stop, 1 when the address cannot be used.

    Raises:
        IntakeError: Keys, pseudonym key or segments' folder cannot be used.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    parts = Parts(settings)
    gc.collect()
    gc.freeze()  # what is imported stays: looking through it again and again takes tens of milliseconds
    config = uvicorn.Config(
        make_app(parts),
        host=settings.host,
        port=settings.port,
        access_log=False,  # addresses of senders are personal data
        log_level="warning",
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        server_header=False,
        backlog=1024,
        limit_concurrency=_CONNECTIONS,
    )
    server = _Server(config)
    print(f"serve-intake: http://{settings.host}:{settings.port} into {settings.store}", flush=True)
    try:
        server.run()
    except SystemExit as stopped:  # uvicorn could not bind
        return int(stopped.code or 0) and 1
    return 0 if server.started else 1

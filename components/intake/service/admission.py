"""Back-pressure: a request is taken on only when there is room for it in memory and on disk."""

import asyncio
from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request

from flywheel.components.intake.service.refusals import Denied, throttled
from flywheel.components.intake.service.settings import Limits

_BODY_SECONDS = 20.0  # a body that dribbles in holds room that others need


class Admission:
    """Counts the bytes of bodies that are being read or wait to become durable."""

    def __init__(self, limits: Limits, queued: Callable[[], int], unmoved: Callable[[], int]) -> None:
        self._limits = limits
        self._queued = queued
        self._unmoved = unmoved
        self._held = 0
        self.stopping = False

    def check(self) -> None:
        """Refuse when there is no room.

        Raises:
            Denied: 429 with a time to come back, or 503 when the service is stopping.
        """
        if self.stopping:
            raise Denied(503, "stopping", "this process is stopping; send again", "throttled", 1)
        if self._queued() >= self._limits.queue_events:
            raise throttled("queue_full", f"{self._limits.queue_events} events wait to become durable")
        if self._held >= self._limits.queue_bytes:
            raise throttled("queue_full", f"{self._limits.queue_bytes} bytes wait to become durable")
        if self._unmoved() >= self._limits.unmoved_bytes:
            words = f"{self._limits.unmoved_bytes} bytes wait to be moved into the store"
            raise throttled("store_behind", words, 10)

    async def body(self, request: Request) -> bytes:
        """Read a request's body, and hold its bytes until `release`.

        Raises:
            Denied: 413 when it is too large, 429 when there is no room, 415 when it is compressed.
        """
        self.check()
        if request.headers.get("content-encoding", "identity") != "identity":
            raise Denied(415, "compressed", "send the body without content-encoding")
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > self._limits.body_bytes:
            raise self._too_large()
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                async for piece in request.stream():
                    size += len(piece)
                    self._held += len(piece)
                    if size > self._limits.body_bytes:
                        raise self._too_large()
                    if self._held > 2 * self._limits.queue_bytes:
                        raise throttled("queue_full", "too many requests are being read")
                    pieces.append(piece)
        except TimeoutError as error:
            self._held -= size
            raise Denied(408, "too_slow", f"the body was not whole within {_BODY_SECONDS:g} seconds") from error
        except ClientDisconnect as error:
            self._held -= size
            raise Denied(400, "disconnected", "the sender hung up before the body was whole") from error
        except Denied:
            self._held -= size
            raise
        return b"".join(pieces)

    def release(self, size: int) -> None:
        """Give back the room of a body."""
        self._held -= size

    def _too_large(self) -> Denied:
        return Denied(
            413, "too_large", f"the body is larger than {self._limits.body_bytes} bytes; send smaller batches"
        )

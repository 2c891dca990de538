"""The parts of one process of the service, and their life: started together, stopped in the order of the data."""

import asyncio
import contextlib
import time

from flywheel.components.intake import pseudonyms
from flywheel.components.intake.service import folders
from flywheel.components.intake.service.admission import Admission
from flywheel.components.intake.service.authentication import Authenticator, KeyFile
from flywheel.components.intake.service.group_commit import GroupCommit
from flywheel.components.intake.service.metrics import IntakeMetrics
from flywheel.components.intake.service.mover_process import MoverProcess
from flywheel.components.intake.service.oidc import TokenVerifier
from flywheel.components.intake.service.rate_limit import RateLimiter
from flywheel.components.intake.service.scribe import Scribe
from flywheel.components.intake.service.segment import SegmentWriter
from flywheel.components.intake.service.settings import Settings

_MEASURE_SECONDS = 0.5


class Parts:
    """What the routes need."""

    def __init__(self, settings: Settings) -> None:
        """Open the key, the keys file and the folder.

        Raises:
            IntakeError: Something of them cannot be used; the service must not start.
        """
        self.settings = settings
        self.metrics = IntakeMetrics()
        keys = KeyFile(settings.keys_file) if settings.keys_file else None
        tokens = TokenVerifier(settings.issuer, settings.audience) if settings.issuer else None
        self.authenticator = Authenticator(keys, tokens)
        self.rates = RateLimiter()
        scribe = Scribe(pseudonyms.for_store(settings.store))
        self._folder = folders.create(settings.segments)
        writer = SegmentWriter(self._folder.path, settings.limits.segment_bytes)
        self.commit = GroupCommit(scribe, writer, settings.limits, self.metrics)
        self.mover = MoverProcess(self._folder, settings.store, settings.join_seconds, self.metrics)
        self.admission = Admission(settings.limits, lambda: self.commit.queued, lambda: self.mover.unmoved)
        self._halt = asyncio.Event()
        self._committing: asyncio.Task[None] | None = None
        self._moving: asyncio.Task[None] | None = None
        self._measuring: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        """Whether events are still being made durable."""
        return self._committing is not None and not self._committing.done()

    @property
    def problem(self) -> str:
        """Why events are not welcome; "" when they are."""
        if self.admission.stopping:
            return "stopping"
        return f"the segment cannot be written: {self.commit.failure}" if self.commit.failure else ""

    def measure(self) -> None:
        """Bring the gauges up to date."""
        self.mover.measure()
        self.metrics.queued_events.set(self.commit.queued)

    async def start(self) -> None:
        """Start committing, moving and measuring."""
        self._committing = asyncio.create_task(self.commit.run())
        self._moving = asyncio.create_task(self._move())
        self._measuring = asyncio.create_task(self._measure())

    async def stop(self) -> None:
        """Flush, move what can be moved, give the folder back; what cannot be moved waits for its adopter."""
        self.admission.stopping = True
        self.commit.close()
        if self._committing is not None:
            await self._committing
        await self.commit.seal()
        self._halt.set()
        try:
            async with asyncio.timeout(self.settings.stop_seconds):
                if self._moving is not None:
                    await self._moving  # ends after a sweep that it has begun
                await self.mover.sweep()
                await self.mover.stop()
        except TimeoutError:
            await self.mover.kill()
        if self._measuring is not None:
            self._measuring.cancel()
        self.measure()
        print(f"serve-intake: stopped; {self.mover.unmoved} bytes not moved yet", flush=True)
        self._folder.release(remove=True)

    async def _move(self) -> None:
        while not self._halt.is_set():
            began = time.monotonic()
            await self.commit.seal()
            await self.mover.sweep()
            took = time.monotonic() - began
            with contextlib.suppress(TimeoutError):  # a store that has become slow is not asked without a pause
                await asyncio.wait_for(self._halt.wait(), max(self.settings.move_seconds - took, took, 0.05))

    async def _measure(self) -> None:
        while True:
            self.measure()
            await asyncio.sleep(_MEASURE_SECONDS)

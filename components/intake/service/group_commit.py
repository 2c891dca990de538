"""Group commit: whatever came while the last group was being fsynced becomes the next group.

Scrubbing, writing and fsync run in one thread beside the event loop; a sender is answered when its group is durable.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from flywheel.components.intake.service.metrics import IntakeMetrics
from flywheel.components.intake.service.refusals import Denied
from flywheel.components.intake.service.scribe import Page, Scribe, Sent, Written
from flywheel.components.intake.service.segment import SegmentWriter
from flywheel.components.intake.service.settings import Limits

_GROUP_EVENTS = 128
_GROUP_BYTES = 1 << 20


@dataclass
class _Order:
    sent: Sequence[Sent]
    done: asyncio.Future[list[Written]]


class GroupCommit:
    """Takes orders until it is closed; then finishes those it has."""

    def __init__(self, scribe: Scribe, writer: SegmentWriter, limits: Limits, metrics: IntakeMetrics) -> None:
        self._scribe = scribe
        self._writer = writer
        self._limits = limits
        self._metrics = metrics
        self._queue: deque[_Order] = deque()
        self._queued = 0
        self._wake = asyncio.Event()
        self._closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="scribe")
        self.failure = ""  # of the last write; "" when it went well

    @property
    def queued(self) -> int:
        """Events read and not durable yet."""
        return self._queued

    async def submit(self, sent: Sequence[Sent]) -> list[Written]:
        """Make events durable; returns when they are.

        Raises:
            Denied: The disk refused (503).
        """
        order = _Order(sent, asyncio.get_running_loop().create_future())
        self._queue.append(order)
        self._queued += len(sent)
        self._wake.set()
        return await order.done

    async def run(self) -> None:
        """Commit groups until closed and empty."""
        loop = asyncio.get_running_loop()
        while self._queue or not self._closed:
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
                continue
            group = self._next_group()
            sent = [one for order in group for one in order.sent]
            try:
                page = await loop.run_in_executor(self._thread, self._commit, sent)
            except OSError as error:
                self.failure = f"{error.strerror or error}"
                print(f"serve-intake: segment not written: {error}", flush=True)
                denied = Denied(503, "not_durable", f"the segment cannot be written: {self.failure}", retry_after=5)
                self._finish(group, denied)
            except Exception as error:  # noqa: BLE001 - a defect must not stop the service, and its sender must know
                print(f"serve-intake: events not processed: {type(error).__name__}: {error}", flush=True)
                self._finish(group, Denied(500, "internal_error", "the events could not be processed; see the log"))
            else:
                self.failure = ""
                self._metrics.group_events.observe(len(sent))
                for reason, number in page.reasons.items():
                    self._metrics.quarantined.labels(reason).inc(number)
                answers = iter(page.answers)
                for order in group:
                    mine = [next(answers) for _ in order.sent]
                    if not order.done.done():  # the sender hung up
                        order.done.set_result(mine)
            self._queued -= len(sent)

    async def seal(self) -> None:
        """Close the open segment, so that its entries can be moved."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._writer.seal)

    def close(self) -> None:
        """Let `run` end when everything is written."""
        self._closed = True
        self._wake.set()

    def _next_group(self) -> list[_Order]:
        group: list[_Order] = []
        events = size = 0
        while self._queue and (not group or (events < _GROUP_EVENTS and size < _GROUP_BYTES)):
            order = self._queue.popleft()
            group.append(order)
            events += len(order.sent)
            size += sum(one.size for one in order.sent)
        return group

    def _commit(self, sent: list[Sent]) -> Page:
        page = self._scribe.page(sent)
        self._writer.append(page.entries)
        return page

    @staticmethod
    def _finish(group: list[_Order], denied: Denied) -> None:
        for order in group:
            if not order.done.done():
                order.done.set_exception(denied)

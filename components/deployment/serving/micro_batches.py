"""Dynamic micro-batching: requests that arrive within a few milliseconds of each other share one forward pass."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Request = TypeVar("Request")
Reply = TypeVar("Reply")


class MicroBatcher(Generic[Request, Reply]):
    """Collects concurrent requests and hands them to a blocking function in batches, one batch at a time.

    While a batch runs in the worker thread, the next one fills up, so batches grow with the load by themselves; the
    wait only serves the first request after a silence.

    Args:
        work: Blocking function from a list of requests to a list of replies in the same order.
        largest: Most requests in a batch.
        wait: Longest time that a request waits for company, seconds.
    """

    def __init__(
        self, work: Callable[[Sequence[Request]], Sequence[Reply]], largest: int = 32, wait: float = 0.004
    ) -> None:
        self._work = work
        self._largest = largest
        self._wait = wait
        self._queue: asyncio.Queue[tuple[Request, asyncio.Future[Reply]]] | None = None
        self._loop_task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="generate")

    async def submit(self, request: Request) -> Reply:
        """Wait for the reply to one request.

        Args:
            request: What the work function takes.

        Returns:
            The reply.

        Raises:
            Exception: Whatever the work function raised for this request's batch.
        """
        if self._queue is None or self._loop_task is None or self._loop_task.done():
            self._queue = asyncio.Queue()
            self._loop_task = asyncio.get_running_loop().create_task(self._run(self._queue))
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((request, reply))
        return await reply

    async def _run(self, queue: "asyncio.Queue[tuple[Request, asyncio.Future[Reply]]]") -> None:
        loop = asyncio.get_running_loop()
        while True:
            batch = [await queue.get()]
            if queue.empty():
                await asyncio.sleep(self._wait)
            while len(batch) < self._largest and not queue.empty():
                batch.append(queue.get_nowait())
            try:
                replies = await loop.run_in_executor(self._thread, self._work, [request for request, _ in batch])
            except Exception as error:  # noqa: BLE001 - the waiting requests get it, the loop must live on
                for _, waiting in batch:
                    if not waiting.done():
                        waiting.set_exception(error)
                continue
            for (_, waiting), reply in zip(batch, replies, strict=True):
                if not waiting.done():
                    waiting.set_result(reply)

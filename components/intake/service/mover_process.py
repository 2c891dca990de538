"""The server's side of the mover: starts it, asks it to move, and starts it again when it died."""

import asyncio
import sys
import time

import orjson

from flywheel.components.intake.service import segment
from flywheel.components.intake.service.folders import LockedFolder
from flywheel.components.intake.service.metrics import IntakeMetrics

_LONGEST_LINE = 1 << 20


class MoverProcess:
    """A child process that moves segments; the server only tells it when."""

    def __init__(self, folder: LockedFolder, store: str, join_seconds: float, metrics: IntakeMetrics) -> None:
        self._folder = folder
        module = "flywheel.components.intake.service.moving"
        root, own = str(folder.path.parent), str(folder.path)
        self._command = [sys.executable, "-m", module, root, own, store, str(join_seconds)]
        self._metrics = metrics
        self._child: asyncio.subprocess.Process | None = None
        self._adopted_bytes = 0
        self._adopted_oldest = 0.0
        self._own_bytes = 0
        self.waiting_bytes = 0
        self.error = ""

    @property
    def unmoved(self) -> int:
        """Bytes in this process's and in adopted segments, as of the last `measure`."""
        return self._own_bytes + self._adopted_bytes

    async def sweep(self) -> float:
        """Have everything sealed moved; returns the seconds that it took. What went wrong is counted and logged."""
        started = time.monotonic()
        try:
            report = await self._ask()
        except (OSError, ValueError, EOFError) as error:
            await self.kill()
            self._fail(f"the mover ended: {error!r}")
            return time.monotonic() - started
        self._count(report)
        return time.monotonic() - started

    async def stop(self) -> None:
        """End the child."""
        if self._child is not None and self._child.returncode is None and self._child.stdin is not None:
            try:
                self._child.stdin.write(b"stop\n")
                await asyncio.wait_for(self._child.wait(), 5)
            except (OSError, TimeoutError):
                await self.kill()

    async def kill(self) -> None:
        """End the child at once; whatever it was doing is repeated by the next."""
        if self._child is not None and self._child.returncode is None:
            self._child.kill()
            await self._child.wait()
        self._child = None

    def measure(self) -> None:
        """Measure what is not moved yet."""
        own = self._folder.segments(sealed=False)
        self._own_bytes = self._folder.size()
        births = [segment.born(path) for path in own] + ([self._adopted_oldest] if self._adopted_oldest else [])
        self._metrics.unmoved_bytes.set(self.unmoved)
        self._metrics.oldest_unmoved.set(max(0.0, time.time() - min(births)) if births else 0.0)
        self._metrics.waiting_bytes.set(self.waiting_bytes)

    async def _ask(self) -> dict[str, object]:
        if self._child is None or self._child.returncode is not None:
            self._child = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_LONGEST_LINE,
                start_new_session=True,  # a signal to the group is the server's to answer
            )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(b"sweep\n")
        await self._child.stdin.drain()
        line = await self._child.stdout.readline()
        if not line:
            raise EOFError(f"exit code {await self._child.wait()}")
        found = orjson.loads(line)
        if not isinstance(found, dict):
            raise ValueError("the mover's report is no object")
        return found

    def _count(self, report: dict[str, object]) -> None:
        moved, quarantined, damaged = report["moved"], report["quarantined"], report["damaged"]
        assert isinstance(moved, dict)
        assert isinstance(quarantined, dict)
        assert isinstance(damaged, list)
        for table, number in moved.items():
            self._metrics.moved_rows.labels(table).inc(number)
        for reason, number in quarantined.items():
            self._metrics.quarantined.labels(reason).inc(number)
        self._metrics.torn_groups.inc(float(str(report["torn"])))
        self._metrics.adopted_folders.inc(float(str(report["adopted"])))
        self._metrics.damaged_segments.inc(len(damaged))
        for words in damaged:
            print(f"serve-intake: damaged segment kept as .damaged: {words}", flush=True)
        self._adopted_bytes = int(str(report["adopted_bytes"]))
        self._adopted_oldest = float(str(report["adopted_oldest"]))
        self.waiting_bytes = int(str(report["waiting_bytes"]))
        if report["error"]:
            self._fail(str(report["error"]))
        else:
            self.error = ""

    def _fail(self, words: str) -> None:
        if words != self.error:
            print(f"serve-intake: not moved: {words}", flush=True)
        self.error = words
        self._metrics.move_failures.inc()

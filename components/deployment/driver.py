"""What moves the traffic: one interface, and the driver for local model servers."""

import asyncio
import contextlib
from pathlib import Path
from typing import Protocol

import aiohttp

from flywheel.components.deployment.serving.server_process import ServerFailedError, ServerProcess
from flywheel.components.deployment.serving.splitter import Splitter


class CandidateFailedError(RuntimeError):
    """The candidate's server did not start or died: a reason to roll back, not a failure of the step."""


class RolloutDriver(Protocol):
    """Moves a service's traffic between production and a candidate."""

    async def start(self) -> str:
        """Bring both models up with all traffic on production.

        Returns:
            Chat completions address of the service.

        Raises:
            CandidateFailedError: The candidate cannot be served.
            ServerFailedError: Production cannot be served.
        """
        ...

    async def set_share(self, share: float) -> None:
        """Send this share of the users to the candidate from now on."""
        ...

    async def promote(self) -> None:
        """Send everybody to the candidate."""
        ...

    async def roll_back(self) -> None:
        """Send everybody to production."""
        ...

    async def status(self) -> dict[str, float | str]:
        """Return the share and how each arm does.

        Raises:
            CandidateFailedError: The candidate is gone.
            ServerFailedError: Production is gone.
        """
        ...

    async def stop(self) -> None:
        """Release everything that `start` took; may be called at any time, and again."""
        ...


class LocalDriver:
    """Two `kserve` model servers on loopback behind a sticky splitter.

    Args:
        production: Production's model folder.
        candidate: Candidate's model folder.
        salt: Rollout id.
        folder: Working folder for the servers' logs.
        ready_timeout: Longest wait for both servers, seconds.
    """

    def __init__(
        self, production: str | Path, candidate: str | Path, salt: str, folder: Path, ready_timeout: float = 120.0
    ) -> None:
        self.production = ServerProcess(production, "production", folder / "production.log")
        self.candidate = ServerProcess(candidate, "candidate", folder / "candidate.log")
        self._salt = salt
        self._ready_timeout = ready_timeout
        self.splitter: Splitter | None = None

    async def start(self) -> str:
        """Start both servers and the splitter; see `RolloutDriver.start`."""
        self.production.start()
        self.candidate.start()
        async with aiohttp.ClientSession(trust_env=False) as client:
            await self._ready(client, self.production)
            try:
                await self._ready(client, self.candidate)
            except ServerFailedError as error:
                raise CandidateFailedError(str(error)) from error
        self.splitter = Splitter(self.production.url, self.candidate.url, self._salt)
        return await self.splitter.start()

    async def set_share(self, share: float) -> None:
        """Change the splitter's share."""
        self._split().set_share(share)

    async def promote(self) -> None:
        """Send everybody to the candidate."""
        self._split().set_share(1.0)

    async def roll_back(self) -> None:
        """Send everybody to production; with no splitter there is no traffic to send."""
        if self.splitter is not None:
            self.splitter.set_share(0.0)

    async def status(self) -> dict[str, float | str]:
        """Check both processes; see `RolloutDriver.status`."""
        self.production.check()
        try:
            self.candidate.check()
        except ServerFailedError as error:
            raise CandidateFailedError(str(error)) from error
        counts = self._split().counts
        return {
            "share": self._split().share,
            "production_requests": float(counts["production"].requests),
            "candidate_requests": float(counts["candidate"].requests),
        }

    async def stop(self) -> None:
        """Stop splitter and servers."""
        if self.splitter is not None:
            await self.splitter.stop()
            self.splitter = None
        self.stop_servers()

    def stop_servers(self) -> None:
        """Stop both server processes; for signal handlers and exits, where no event loop runs."""
        self.candidate.stop()
        self.production.stop()

    def _split(self) -> Splitter:
        if self.splitter is None:
            raise RuntimeError("the driver was not started")
        return self.splitter

    async def _ready(self, client: aiohttp.ClientSession, server: ServerProcess) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._ready_timeout
        while loop.time() < deadline:
            server.check()
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):  # not listening yet
                async with client.get(server.ready_url, timeout=aiohttp.ClientTimeout(total=2)) as reply:
                    if reply.status == 200:
                        return
            await asyncio.sleep(0.05)
        raise ServerFailedError(
            f"the {server.name} server was not ready in {self._ready_timeout:.0f} s: {server.log_tail()}"
        )


def local_or_refuse(name: str) -> None:
    """Refuse drivers that this version does not have.

    Raises:
        ValueError: The driver is not `local`.
    """
    if name == "kserve":
        raise ValueError(
            "driver kserve: no model servers on this machine; a rollout on an InferenceService is run by the component "
            "run_canary(driver='kserve') or by deployment.cluster.canary.run"
        )
    if name != "local":
        raise ValueError(f"unknown rollout driver {name!r}; there is: local")

"""A sticky traffic splitter: an HTTP proxy on loopback that sends each user to one of two model servers."""

import time
from collections import Counter
from dataclasses import dataclass, field

import aiohttp
import orjson
from aiohttp import web

from flywheel.components.deployment.canary.turn import Arm, bucket

ARM_HEADER = "x-flywheel-arm"
SHARE_HEADER = "x-flywheel-share"
LATENCY_HEADER = "x-flywheel-latency-ms"


@dataclass
class ArmCounts:
    """What one arm answered."""

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    latency_ms: float = 0.0  # sum


class Splitter:
    """Splits users, not requests: a user is on the candidate if and only if `bucket(user, salt) < share`.

    The user is the OpenAI request's `user` field. A server that fails, cannot be reached or takes too long is a 5xx of
    its arm; the request is not sent to the other arm, because then the failure would not be seen.

    Args:
        production: Chat completions address of production.
        candidate: Chat completions address of the candidate.
        salt: Rollout id.
        timeout: Longest wait for an answer, seconds.
    """

    def __init__(self, production: str, candidate: str, salt: str, timeout: float = 30.0) -> None:
        self._targets: dict[Arm, str] = {"production": production, "candidate": candidate}
        self._salt = salt
        self._share = 0.0
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._client: aiohttp.ClientSession | None = None
        self._runner: web.ServerRunner | None = None
        self.counts: dict[Arm, ArmCounts] = {"production": ArmCounts(), "candidate": ArmCounts()}
        self.url = ""

    @property
    def share(self) -> float:
        """Share of the users on the candidate."""
        return self._share

    def set_share(self, share: float) -> None:
        """Change the share; the next request goes by it.

        Raises:
            ValueError: It is not in [0, 1].
        """
        if not 0 <= share <= 1:
            raise ValueError(f"share must lie in [0, 1], got {share}")
        self._share = share

    def arm(self, subject: str) -> Arm:
        """Return the arm that serves a user now."""
        return "candidate" if bucket(subject, self._salt) < self._share else "production"

    async def start(self) -> str:
        """Listen on a free port of 127.0.0.1.

        Returns:
            Chat completions address.
        """
        self._client = aiohttp.ClientSession(
            timeout=self._timeout, connector=aiohttp.TCPConnector(limit=0), trust_env=False
        )
        self._runner = web.ServerRunner(web.Server(self._handle))
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, shutdown_timeout=1.0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/openai/v1/chat/completions"
        return self.url

    async def stop(self) -> None:
        """Stop listening and drop the connections to the servers."""
        if self._runner is not None:
            await self._runner.cleanup()
        if self._client is not None:
            await self._client.close()

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        try:
            subject = orjson.loads(body)["user"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            subject = None
        if not isinstance(subject, str) or not subject:
            return _json(400, {"error": {"message": "the JSON body must name its user in the field `user`"}})
        share, arm = self._share, self.arm(subject)
        started = time.perf_counter()
        status, answer = await self._forward(self._targets[arm], body)
        latency = (time.perf_counter() - started) * 1000
        counts = self.counts[arm]
        counts.requests += 1
        counts.statuses[status] += 1
        counts.latency_ms += latency
        return web.Response(
            status=status,
            body=answer,
            content_type="application/json",
            headers={ARM_HEADER: arm, SHARE_HEADER: repr(share), LATENCY_HEADER: f"{latency:.3f}"},
        )

    async def _forward(self, target: str, body: bytes) -> tuple[int, bytes]:
        if self._client is None:
            raise RuntimeError("the splitter was not started")
        try:
            async with self._client.post(target, data=body, headers={"content-type": "application/json"}) as reply:
                return reply.status, await reply.read()
        except TimeoutError:
            return 504, orjson.dumps({"error": {"message": "the model server took too long"}})
        except aiohttp.ClientError as error:
            return 502, orjson.dumps({"error": {"message": f"the model server failed: {type(error).__name__}"}})


def _json(status: int, content: dict[str, object]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(content), content_type="application/json")

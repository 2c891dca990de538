"""Keep-alive senders over plain sockets: they measure latencies and remember what was acknowledged."""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import orjson

_TEXTS = (
    "The refund period is 30 days since the first of May, not 14 days.",
    "Orders of more than 50 euros are shipped free of charge.",
    "My name is Maria Lopez, write to maria.lopez@example.org when it is repaired.",
    "The shop in the old town closes at six, on Saturdays at two.",
)


@dataclass
class Acknowledged:
    """What senders were told."""

    ids: set[str] = field(default_factory=set)
    events: int = 0
    refused: int = 0
    latencies: list[float] = field(default_factory=list)  # seconds


def bodies(seed: int) -> Iterator[bytes]:
    """Yield feedback that is never twice the same; one in four holds personal data."""
    number = 0
    while True:
        number += 1
        yield orjson.dumps(
            {
                "interaction": str(uuid.uuid4()),
                "user": f"u-{(seed * 7919 + number) % 997}",
                "rating": number % 3 - 1,
                "correction": _TEXTS[number % 4],
                "comment": "outdated answer",
                "timestamp": "2026-11-20T09:30:00Z",
            }
        )


async def send(
    port: Callable[[], int], over: Callable[[], bool], seed: int, told: Acknowledged, *, insist: bool = False
) -> None:
    """Send feedback until it is over.

    Args:
        port: Where the service listens now.
        over: Whether to end.
        seed: Tells this sender's events from another's.
        told: Filled with what was acknowledged.
        insist: Whether an event that was not answered is sent again until it is.
    """
    link: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    for body in bodies(seed):
        while not over():
            began = time.perf_counter()
            try:
                if link is None:
                    link = await asyncio.open_connection("127.0.0.1", port())
                status, answer = await asyncio.wait_for(_post(*link, body), 30)
            except (OSError, asyncio.IncompleteReadError, ValueError, TimeoutError):
                if link is not None:
                    link[1].close()
                link = None
                await asyncio.sleep(0.02)
                if insist:
                    continue
                break
            if status == 202:
                told.latencies.append(time.perf_counter() - began)
                told.events += 1
                told.ids.update(orjson.loads(answer)["feedback"])
                break
            told.refused += 1
            await asyncio.sleep(0.05)
        if over():
            break
    if link is not None:
        link[1].close()


async def _post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> tuple[int, bytes]:
    writer.write(
        b"POST /v1/feedback HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        % len(body)
        + body
    )
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    lengths = [line for line in lines if line.lower().startswith("content-length:")]
    return int(lines[0].split()[1]), await reader.readexactly(int(lengths[0].split(":")[1]))

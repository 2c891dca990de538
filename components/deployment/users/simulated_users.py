"""Simulated users who ask through the splitter: each comes for one visit, asks, reacts, asks on or leaves."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import aiohttp
import orjson

from flywheel.components.contracts.rollout import UserQuestion
from flywheel.components.deployment.canary.turn import Turn
from flywheel.components.deployment.serving.splitter import ARM_HEADER, LATENCY_HEADER, SHARE_HEADER
from flywheel.components.deployment.users.reactions import react
from flywheel.components.evaluation.scores.scorers import leaked


def read_traffic(path: str | Path) -> dict[str, list[UserQuestion]]:
    """Read a traffic file into visits.

    Args:
        path: JSON lines of `UserQuestion`.

    Returns:
        Each user's questions in order; users in the order of their first question.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is empty or a line is not a question; the message names file and line.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"no traffic file at {file}: give JSON lines of subject, messages and references")
    visits: dict[str, list[UserQuestion]] = {}
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                question = UserQuestion.model_validate_json(line)
            except ValueError as error:
                raise ValueError(f"{file}, line {number}: not a question of a user: {error}") from error
            visits.setdefault(question.subject, []).append(question)
    if not visits:
        raise ValueError(f"{file} holds no questions: a canary without users can show nothing")
    return visits


class SimulatedUsers:
    """Plays visits against a chat completions address.

    Args:
        visits: Each user's questions.
        url: Where to ask.
        model: Value of the request's `model` field.
        seed: Seed of the reactions; a user reacts alike to the same answers in every rollout.
        past: Turns of an earlier attempt; their users go on where they were.
    """

    def __init__(
        self,
        visits: dict[str, list[UserQuestion]],
        url: str,
        model: str,
        seed: int,
        past: Iterable[Turn] = (),
    ) -> None:
        self._visits = visits
        self._url = url
        self._model = model
        self._seed = seed
        self._done: dict[str, int] = {}
        self._clock = 0
        for turn in past:
            left = "abandon" in turn.implicit
            self._done[turn.subject] = len(visits.get(turn.subject, ())) if left else turn.number + 1
            self._clock = max(self._clock, turn.asked_at + 1)
        self._stopped = False

    @property
    def clock(self) -> int:
        """Requests sent so far: the time of the simulation."""
        return self._clock

    def stop(self) -> None:
        """Let nobody ask anything more."""
        self._stopped = True

    async def run(self, observe: Callable[[Turn], None], concurrency: int = 32) -> None:
        """Let the users come, `concurrency` at a time, until all have left or `stop` is called.

        Args:
            observe: Called after each turn.
            concurrency: Visits at the same time.
        """
        waiting = iter(self._visits.items())
        connector = aiohttp.TCPConnector(limit=0)
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as client:

            async def seat() -> None:
                for subject, questions in waiting:
                    for number in range(self._done.get(subject, 0), len(questions)):
                        if self._stopped:
                            return
                        turn = await self._ask(client, subject, number, questions[number])
                        observe(turn)
                        if "abandon" in turn.implicit:
                            break

            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(seat())

    async def _ask(self, client: aiohttp.ClientSession, subject: str, number: int, question: UserQuestion) -> Turn:
        asked_at, self._clock = self._clock, self._clock + 1
        messages = [{"role": message["role"], "content": message["content"]} for message in question.messages]
        body = orjson.dumps({"model": self._model, "user": subject, "messages": messages})
        async with client.post(self._url, data=body) as reply:
            raw = await reply.read()
            status, arm = reply.status, reply.headers.get(ARM_HEADER, "production")
            latency = float(reply.headers.get(LATENCY_HEADER, "0"))
            share = float(reply.headers.get(SHARE_HEADER, "0"))
        text, digest, tokens = "", "", None
        if status < 400:
            answer = orjson.loads(raw)
            text, digest = answer["choices"][0]["message"]["content"] or "", answer.get("system_fingerprint") or ""
            tokens = (answer.get("usage") or {}).get("completion_tokens")
        random = Random(f"{self._seed}:{subject}:{number}")
        reaction = react(text, status >= 400 or not text.strip(), question.references, random)
        return Turn.model_validate(
            {
                "subject": subject,
                "number": number,
                "arm": arm,
                "share": share,
                "asked_at": asked_at,
                "status": status,
                "latency_ms": latency,
                "digest": digest,
                "response": text,
                "tokens": tokens,
                "wrong": reaction.wrong,
                "safety": bool(leaked(text, [*(message["content"] for message in messages), *question.references])),
                "time": datetime.now(UTC).isoformat(),
                **reaction.signals,
            }
        )

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp
import orjson
import pytest
from aiohttp import web

from flywheel.components.deployment.canary.turn import bucket
from flywheel.components.deployment.serving.splitter import ARM_HEADER, Splitter


async def backend(name: str, status: int = 200) -> tuple[web.ServerRunner, str]:
    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=status, body=orjson.dumps({"who": name}))

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}/"


async def ask(client: aiohttp.ClientSession, url: str, body: object) -> tuple[int, str, dict]:
    async with client.post(url, data=orjson.dumps(body)) as reply:
        return reply.status, reply.headers.get(ARM_HEADER, ""), orjson.loads(await reply.read())


def with_splitter(
    play: Callable[[Splitter, aiohttp.ClientSession], Awaitable[None]], candidate: str = "", status: int = 200
) -> None:
    async def main() -> None:
        one, production = await backend("production")
        two, target = await backend("candidate", status)
        splitter = Splitter(production, candidate or target, "salt", timeout=5)
        await splitter.start()
        try:
            async with aiohttp.ClientSession() as client:
                await play(splitter, client)
        finally:
            await splitter.stop()
            await one.cleanup()
            await two.cleanup()

    asyncio.run(main())


def test_users_stick_and_never_flip_back_while_the_share_grows() -> None:
    users = [f"user-{number}" for number in range(60)]

    async def play(splitter: Splitter, client: aiohttp.ClientSession) -> None:
        exposed: set[str] = set()
        for share in (0.0, 0.05, 0.25, 0.5, 1.0):
            splitter.set_share(share)
            for user in users:
                status, arm, answer = await ask(client, splitter.url, {"user": user})
                assert (status, answer["who"]) == (200, arm)
                assert (arm == "candidate") == (bucket(user, "salt") < share)
                assert arm == "candidate" or user not in exposed
                exposed |= {user} if arm == "candidate" else set()
        assert exposed == set(users)
        splitter.set_share(0.0)
        assert (await ask(client, splitter.url, {"user": users[0]}))[1] == "production"
        assert splitter.counts["production"].requests + splitter.counts["candidate"].requests == 5 * 60 + 1

    with_splitter(play)


def test_an_arm_that_fails_is_seen_and_not_covered_up() -> None:
    async def play(splitter: Splitter, client: aiohttp.ClientSession) -> None:
        splitter.set_share(1.0)
        assert (await ask(client, splitter.url, {"user": "u"}))[:2] == (503, "candidate")
        assert splitter.counts["candidate"].statuses[503] == 1

    with_splitter(play, status=503)


def test_an_arm_that_is_gone_is_a_bad_gateway() -> None:
    async def play(splitter: Splitter, client: aiohttp.ClientSession) -> None:
        splitter.set_share(1.0)
        assert (await ask(client, splitter.url, {"user": "u"}))[:2] == (502, "candidate")

    with_splitter(play, candidate="http://127.0.0.1:9/")


@pytest.mark.parametrize("body", [{}, {"user": ""}, {"user": 3}, [], "text"])
def test_a_request_without_a_user_is_refused(body: object) -> None:
    async def play(splitter: Splitter, client: aiohttp.ClientSession) -> None:
        status, _, answer = await ask(client, splitter.url, body)
        assert status == 400
        assert "user" in answer["error"]["message"]

    with_splitter(play)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        Splitter("", "", "salt").set_share(share)

"""Back-pressure instead of growth."""

import asyncio
import http.client
import json
import socket
import threading

import psutil
import pytest
from starlette.requests import Request

from flywheel.components.intake.service import admission
from flywheel.components.intake.service.rate_limit import RateLimiter
from flywheel.components.intake.service.refusals import Denied
from flywheel.components.intake.service.settings import Limits


def test_token_bucket_refills_and_says_when_to_come_back():
    limiter = RateLimiter()
    limiter.take("a", 10, 20, 20, now=0.0)
    with pytest.raises(Denied) as caught:
        limiter.take("a", 10, 20, 15, now=0.0)
    assert (caught.value.status, caught.value.retry_after) == (429, 2)
    limiter.take("b", 10, 20, 20, now=0.0)  # another sender
    limiter.take("a", 10, 20, 15, now=1.5)
    with pytest.raises(Denied):
        limiter.take("a", 10, 20, 1, now=1.5)
    limiter.take("a", 10, 20, 20, now=1e6)
    with pytest.raises(Denied) as caught:
        limiter.take("a", 10, 20, 21, now=2e6)
    assert caught.value.status == 413
    limiter.take("c", 0, 0, 10**9)  # no limit


def test_long_run_rate_is_the_limit():
    limiter, passed = RateLimiter(), 0
    for step in range(10_000):  # 100 s of 100 attempts per second
        try:
            limiter.take("a", 7, 7, 1, now=step / 100)
        except Denied:
            continue
        passed += 1
    assert 700 <= passed <= 708


def test_body_that_dribbles_in_gives_its_room_back(monkeypatch):
    monkeypatch.setattr(admission, "_BODY_SECONDS", 0.05)
    door = admission.Admission(Limits(), lambda: 0, lambda: 0)
    pieces = [{"type": "http.request", "body": b"x" * 1000, "more_body": True}]

    async def receive():
        if pieces:
            return pieces.pop()
        await asyncio.sleep(60)

    async def read():
        await door.body(Request({"type": "http", "method": "POST", "headers": []}, receive))

    with pytest.raises(Denied) as caught:
        asyncio.run(read())
    assert caught.value.status == 408
    assert door._held == 0


@pytest.mark.parametrize(
    ("queued", "unmoved", "stopping", "status"),
    [(0, 0, False, None), (4096, 0, False, 429), (0, 1 << 30, False, 429), (0, 0, True, 503)],
)
def test_door_is_shut_when_there_is_no_room(queued, unmoved, stopping, status):
    door = admission.Admission(Limits(), lambda: queued, lambda: unmoved)
    door.stopping = stopping
    if status is None:
        door.check()
        return
    with pytest.raises(Denied) as caught:
        door.check()
    assert caught.value.status == status
    assert caught.value.retry_after >= 1


@pytest.mark.slow
def test_sizes_rates_and_a_store_that_is_behind(start, keys_file):
    document = json.loads(keys_file.read_text())
    keys_file.write_text(json.dumps({"web": {"sha256": document["web"], "rate": 0.5, "burst": 3}} | {"free": "0" * 64}))
    environment = {"FLYWHEEL_INTAKE_KEYS_FILE": str(keys_file)}
    service = start("--max-body", "2000", "--max-batch", "10", "--move-seconds", "600", environment=environment)
    headers = {"x-api-key": "k-7f3a9d0c"}
    one = {"interaction": "i", "rating": 1}
    assert service.post("/v1/feedback", one | {"comment": "x" * 3000}, headers)[1]["error"] == "too_large"
    status, answer, _ = service.post("/v1/feedback", [one] * 11, headers)
    assert (status, answer["error"]) == (413, "batch_too_large")
    assert service.post("/v1/feedback", one, headers)[0] == 202
    status, answer, found = service.post("/v1/feedback", one, headers)
    assert (status, answer["error"]) == (429, "rate_limited")
    assert 1 <= int(found["Retry-After"]) <= 2
    assert service.metric("flywheel_intake_events_total", route="feedback", outcome="throttled") == 1
    assert service.stop() == 0


@pytest.mark.slow
def test_chunked_body_is_cut_off_at_the_limit(start):
    service = start("--max-body", "100000", "--move-seconds", "600")
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as link:
        link.sendall(b"POST /v1/feedback HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(40):  # 400 kB, without an end
            try:
                link.sendall(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
            except OSError:
                break
        assert link.recv(100).startswith(b"HTTP/1.1 413")


@pytest.mark.slow
def test_full_disk_share_is_a_429_until_the_store_has_it(start):
    service = start("--max-unmoved", "20000", "--move-seconds", "600")
    statuses = []
    for number in range(200):
        status, answer, headers = service.post("/v1/feedback", {"interaction": f"i-{number}", "comment": "y" * 500})
        statuses.append(status)
        if status != 202:
            assert (status, answer["error"]) == (429, "store_behind")
            assert int(headers["Retry-After"]) >= 1
            break
    assert statuses[-1] == 429
    assert service.call("GET", "/readyz")[0] == 200  # it answers; 429 says the rest
    assert service.stop() == 0
    assert len(service.rows("feedback")) == len(statuses) - 1


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_memory_stays_flat_under_a_flood_that_is_refused(start):
    service = start("--max-unmoved", "1000", "--move-seconds", "600", "--max-body", "1000000")
    service.post("/v1/feedback", {"interaction": "i", "comment": "z" * 2000})
    service.until(lambda: service.metric("flywheel_intake_unmoved_bytes") > 1000)
    process = psutil.Process(service.child.pid)
    body = json.dumps({"interaction": "i", "comment": "w" * 400_000}).encode()
    refused = []

    def flood(times):
        for _ in range(times):
            try:
                status = service.call("POST", "/v1/feedback", body)[0]
            except (OSError, http.client.HTTPException):  # refused while the body was still on its way
                status = 0
            refused.append(status)

    flood(20)
    before = process.memory_info().rss
    threads = [threading.Thread(target=flood, args=(100,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    grown = process.memory_info().rss - before
    assert len(refused) == 620  # 250 MB were sent
    assert set(refused) <= {0, 429}
    assert refused.count(429) > 500
    assert grown < 30 << 20, f"{grown / 2**20:.0f} MiB"
    assert service.metric("flywheel_intake_events_total", route="feedback", outcome="accepted") == 1

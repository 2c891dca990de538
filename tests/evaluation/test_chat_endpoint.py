import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from flywheel.components.evaluation.chat_endpoint import ChatEndpoint, Completion, EndpointError

KEY = "sk-very-secret-4711"
ASK = [{"role": "user", "content": "How long?"}]
Reply = tuple[int, dict[str, str], bytes]


def chat(text: Any, **more: Any) -> Reply:
    message = {"choices": [{"message": {"content": text}, "finish_reason": "stop"}], "usage": {"completion_tokens": 3}}
    return 200, {}, json.dumps({**message, **more}).encode()


def error(status: int, message: str, headers: dict[str, str] | None = None, **more: str) -> Reply:
    return status, headers or {}, json.dumps({"error": {"message": message, **more}}).encode()


class Server:
    """Answers with `script`, one reply per request, the last one for ever; keeps what it was asked."""

    def __init__(self) -> None:
        self.script: list[Reply | Callable[[dict[str, Any]], Reply]] = []
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.delay = 0.0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(body)
                outer.headers.append(dict(self.headers))
                outer.paths.append(self.path)
                reply = outer.script[min(len(outer.asked), len(outer.script)) - 1]
                status, headers, raw = reply(body) if callable(reply) else reply
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                try:
                    for start in range(0, len(raw), 16 if outer.delay else len(raw) or 1):
                        self.wfile.write(raw[start : start + (16 if outer.delay else len(raw))])
                        self.wfile.flush()
                        time.sleep(outer.delay)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def endpoint(server: Server, waits: list[float], monkeypatch: pytest.MonkeyPatch) -> ChatEndpoint:
    monkeypatch.setenv("JUDGE_KEY", KEY)
    return ChatEndpoint(server.url, "tiny", "JUDGE_KEY", timeout=5, retries=3, wait=waits.append)


def test_asks_in_the_format_of_the_api(endpoint: ChatEndpoint, server: Server) -> None:
    server.script = [chat(" 36 months \n")]
    assert endpoint.complete(ASK, max_tokens=9, seed=4) == Completion("36 months", "stop", 3)
    assert server.asked == [{"model": "tiny", "messages": ASK, "max_tokens": 9, "temperature": 0.0, "seed": 4}]
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}" and server.paths == ["/v1/chat/completions"]
    assert KEY not in repr(endpoint) and KEY not in repr(vars(endpoint)["url"])


@pytest.mark.parametrize("end", ["", "/", "/chat/completions", "/chat/completions/"])
def test_base_url_in_the_ways_people_write_it(server: Server, end: str) -> None:
    server.script = [chat([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])]
    assert ChatEndpoint(server.url + end, "tiny").complete(ASK).text == "ab", "content parts are joined"
    assert server.paths == ["/v1/chat/completions"] and "Authorization" not in server.headers[0]


def test_tries_again_and_waits_as_long_as_it_is_told(
    endpoint: ChatEndpoint, server: Server, waits: list[float]
) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    server.script = [
        error(429, "slow down", {"Retry-After": "7"}),
        error(503, "busy", {"Retry-After": soon}),
        error(500, "oops"),
        chat("fine"),
    ]
    assert endpoint.complete(ASK).text == "fine"
    assert waits[0] == 7 and 17 < waits[1] <= 20 and 1 <= waits[2] <= 2, "doubling when the server does not say"


def test_gives_up_after_the_last_try(endpoint: ChatEndpoint, server: Server, waits: list[float]) -> None:
    server.script = [error(503, "busy")]
    with pytest.raises(EndpointError, match=r"overloaded: .*answered 503: busy after 4 tries") as caught:
        endpoint.complete(ASK)
    assert caught.value.code == "overloaded" and not caught.value.fatal
    assert len(server.asked) == 4 and len(waits) == 3


def test_does_not_wait_an_hour(endpoint: ChatEndpoint, server: Server, waits: list[float]) -> None:
    server.script = [error(429, "slow down", {"Retry-After": "3600"})]
    with pytest.raises(EndpointError, match="asks to wait 3600 s"):
        endpoint.complete(ASK)
    assert waits == [] and len(server.asked) == 1


@pytest.mark.parametrize(
    ("reply", "code", "words", "fatal"),
    [
        (error(401, f"Incorrect API key provided: {KEY}"), "unauthorized", "environment variable", True),
        (error(403, "not yours"), "unauthorized", "not yours", True),
        (error(404, "The model `tiny` does not exist."), "model_missing", "does not serve 'tiny'", True),
        ((404, {}, b"Not Found"), "no_such_path", "ends in /v1", True),
        (error(429, "You exceeded your quota", code="insufficient_quota"), "quota_spent", "exceeded", True),
        (error(400, "too long", param="messages"), "rejected", "too long", False),
        ((302, {"Location": "http://127.0.0.1:9/steal"}, b""), "redirected", "final URL", True),
    ],
)
def test_what_no_further_try_would_help(
    endpoint: ChatEndpoint, server: Server, reply: Reply, code: str, words: str, fatal: bool
) -> None:
    server.script = [reply]
    with pytest.raises(EndpointError, match=words) as caught:
        endpoint.complete(ASK)
    assert (caught.value.code, caught.value.fatal) == (code, fatal)
    assert len(server.asked) == 1 and KEY not in str(caught.value)


@pytest.mark.parametrize(
    "raw",
    [b"", b"<html>", b"[]", b'{"choices": []}', b'{"choices": [{"message": {"content": null}}]}', b'{"choices": 3}'],
)
def test_a_reply_that_is_no_completion_is_an_error(endpoint: ChatEndpoint, server: Server, raw: bytes) -> None:
    server.script = [(200, {}, raw)]
    with pytest.raises(EndpointError, match="malformed: .* sent no chat completion"):
        endpoint.complete(ASK)


def test_unreachable(waits: list[float]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EndpointError, match="check the address and the network after 2 tries") as caught:
        ChatEndpoint(f"http://127.0.0.1:{port}/v1", "tiny", retries=1, wait=waits.append).complete(ASK)
    assert caught.value.code == "unreachable" and caught.value.fatal and len(waits) == 1


def test_time_limit_holds_for_the_whole_reply(server: Server, waits: list[float]) -> None:
    """Each packet comes in time, the whole never would."""
    server.script, server.delay = [chat("x" * 4000)], 0.05
    with pytest.raises(EndpointError, match="no answer within 0.4 s after 2 tries") as caught:
        ChatEndpoint(server.url, "tiny", timeout=0.4, retries=1, wait=waits.append).complete(ASK)
    assert caught.value.code == "timeout"


def test_settings_that_a_model_does_not_take_are_left_out(endpoint: ChatEndpoint, server: Server) -> None:
    def picky(body: dict[str, Any]) -> Reply:
        for name in ("max_tokens", "temperature"):
            if name in body:
                return error(400, f"Unsupported parameter: {name}", param=name)
        return chat(str(body["max_completion_tokens"]))

    server.script = [picky]
    assert endpoint.complete(ASK, max_tokens=12).text == "12"
    assert endpoint.complete(ASK, max_tokens=12).text == "12"
    assert len(server.asked) == 4, "learnt once, not asked again"


def test_many_questions_keep_their_order(endpoint: ChatEndpoint, server: Server) -> None:
    def echo(body: dict[str, Any]) -> Reply:
        text = body["messages"][0]["content"]
        return error(400, "bad words") if text == "5" else chat(text)

    server.script = [echo]
    made = endpoint.complete_all([[{"role": "user", "content": str(number)}] for number in range(12)], workers=3)
    assert [one.text for one in made if isinstance(one, Completion)] == [str(n) for n in range(12) if n != 5]
    assert isinstance(made[5], EndpointError) and made[5].code == "rejected"


def test_a_wrong_key_is_not_tried_on_every_question(endpoint: ChatEndpoint, server: Server) -> None:
    server.script = [error(401, "who are you")]
    made = endpoint.complete_all([ASK] * 50, workers=2)
    assert len(made) == 50 and all(isinstance(one, EndpointError) and one.code == "unauthorized" for one in made)
    assert len(server.asked) <= 3


def test_a_dead_server_is_not_asked_for_ever(endpoint: ChatEndpoint, server: Server) -> None:
    server.script = [error(503, "busy")]
    made = endpoint.complete_all([ASK] * 50, workers=1)
    assert {one.code for one in made if isinstance(one, EndpointError)} == {"overloaded"} and len(made) == 50
    assert len(server.asked) == 5 * 4


def test_what_cannot_be_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    for url in ("", "judge", "ftp://judge/v1", "http://judge:port/v1"):
        with pytest.raises(ValueError, match="must be a URL"):
            ChatEndpoint(url, "tiny")
    with pytest.raises(ValueError, match="no user, password or query") as caught:
        ChatEndpoint("https://me:hunter2@judge/v1", "tiny")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ValueError, match="variable JUDGE_KEY is not set"):
        ChatEndpoint("https://judge/v1", "tiny", "JUDGE_KEY")
    with pytest.raises(ValueError, match="must be the NAME of an environment variable") as caught:
        ChatEndpoint("https://judge/v1", "tiny", KEY)
    assert KEY not in str(caught.value), "a key given by mistake is not repeated"
    with pytest.raises(ValueError, match="name the model"):
        ChatEndpoint("https://judge/v1", " ")
    with pytest.raises(ValueError, match="timeout must be positive"):
        ChatEndpoint("https://judge/v1", "tiny", timeout=0)

"""An HTTP proxy before the API server that answers, cuts, delays or kills when it is told to."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import urllib3


@dataclass
class Request:
    """What came in."""

    number: int  # from 1, over all requests
    method: str
    path: str
    token: str


@dataclass
class Fault:
    """What to do to the requests that `when` picks, at most `times` times."""

    when: Callable[[Request], bool]
    status: int = 0  # answer with this, forwarding nothing
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "fault"
    reason: str = ""
    cut_before: bool = False  # close the connection, forwarding nothing
    cut_after: bool = False  # forward, then close without an answer: the answer is lost
    cut_stream_after: int = -1  # pass this many bytes of the answer, then close
    before: Callable[[], None] | None = None  # called before forwarding
    after: Callable[[], None] | None = None  # called after forwarding, before the answer goes back
    stream: bytes = b""  # answer 200 with this, forwarding nothing
    times: int = 1


class FaultyProxy:
    """Forwards to the API server; `faults` says what goes wrong, `requests` what came in."""

    def __init__(self, target: str):
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        self._pool = urllib3.PoolManager(cert_reqs="CERT_NONE", maxsize=20)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                proxy._handle(self, target)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

            def log_message(self, *_):
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # clients that were killed or left
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def reset(self):
        self.faults, self.requests = [], []

    def _fault(self, request: Request) -> Fault:
        with self._lock:
            for fault in self.faults:
                if fault.times and fault.when(request):
                    fault.times -= 1
                    return fault
        return Fault(lambda _: False)

    def _handle(self, handler, target):
        token = handler.headers.get("Authorization", "").removeprefix("Bearer ")
        with self._lock:
            request = Request(len(self.requests) + 1, handler.command, handler.path, token)
            self.requests.append(request)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        fault = self._fault(request)
        if fault.before:
            fault.before()
        if fault.cut_before:
            return self._cut(handler)
        if fault.status:
            told = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": fault.status}
            told |= {"message": fault.message, "reason": fault.reason}
            return self._answer(handler, fault.status, fault.headers, json.dumps(told).encode())
        if fault.stream:
            return self._answer(handler, 200, fault.headers, fault.stream)
        kept = {key: value for key, value in handler.headers.items() if key.lower() not in ("host", "connection")}
        try:
            answer = self._pool.request(
                handler.command,
                target + handler.path,
                body=body or None,
                headers=kept,
                preload_content=False,
                retries=False,
                timeout=120,
            )
        except urllib3.exceptions.HTTPError:
            return self._cut(handler)
        if fault.after:
            fault.after()
        if fault.cut_after:
            answer.drain_conn()
            return self._cut(handler)
        self._pass_on(handler, answer, fault)

    def _pass_on(self, handler, answer, fault):
        handler.send_response_only(answer.status)
        for key in ("Content-Type", "Date", "Retry-After"):
            if key in answer.headers:
                handler.send_header(key, answer.headers[key])
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        left = fault.cut_stream_after
        try:
            for chunk in answer.stream(65536):
                part = chunk if left < 0 else chunk[:left]
                if part:
                    handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                    handler.wfile.flush()
                if left >= 0:
                    left -= len(part)
                    if left <= 0:
                        return self._cut(handler)
            handler.wfile.write(b"0\r\n\r\n")
        except OSError:
            handler.close_connection = True
        finally:
            answer.close()

    def _answer(self, handler, status, headers, content):
        handler.send_response(status)
        for key, value in {**headers, "Content-Type": "application/json"}.items():
            handler.send_header(key, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def _cut(self, handler):
        handler.close_connection = True
        handler.connection.close()

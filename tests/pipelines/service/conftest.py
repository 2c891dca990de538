"""A pipeline service in the test: the v2beta1 API over HTTP, its bodies made by the SDK's own OpenAPI models."""

import json
import re
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import kfp_server_api as api
import pytest
import yaml

from flywheel.pipelines.service.connection import Service

PREFIX = "/apis/v2beta1"
COLLECTIONS = {
    "pipelines": "pipeline_id",
    "experiments": "experiment_id",
    "runs": "run_id",
    "recurringruns": "recurring_run_id",
}
MODELS = {
    "pipelines": api.V2beta1Pipeline,
    "experiments": api.V2beta1Experiment,
    "runs": api.V2beta1Run,
    "recurringruns": api.V2beta1RecurringRun,
    "versions": api.V2beta1PipelineVersion,
}


@dataclass
class Backend:
    """What the service holds, and how it misbehaves."""

    tables: dict = field(default_factory=lambda: {name: {} for name in MODELS})
    requests: list = field(default_factory=list)
    lose: list = field(default_factory=list)  # (method, path part): done, but the answer is lost
    fail: list = field(default_factory=list)  # (method, path part, status)
    token: str = ""
    clock: datetime = datetime(2026, 11, 1, tzinfo=UTC)
    page: int = 2  # small pages, so that paging is used

    def add(self, kind: str, key: str, item) -> object:
        number = len(self.tables[kind]) + 1
        self.clock += timedelta(seconds=1)
        setattr(item, key, f"{kind}-{number}")
        item.created_at = self.clock
        self.tables[kind][f"{kind}-{number}"] = item
        return item


def model_from(kind: str, content: dict):
    """Read a body with the SDK's own model: a field it does not know, or of a wrong type, is refused."""
    client = api.ApiClient()

    class Body:
        data = json.dumps(content)

    known = set(MODELS[kind].attribute_map.values())
    assert content.keys() <= known, f"unknown fields {content.keys() - known}"
    return client.deserialize(Body, MODELS[kind].__name__)


class Handler(BaseHTTPRequestHandler):
    backend: Backend

    def log_message(self, *_args):
        return None

    def do_GET(self):
        self.answer("GET")

    def do_POST(self):
        self.answer("POST")

    def do_DELETE(self):
        self.answer("DELETE")

    def answer(self, method):
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        backend = self.backend
        backend.requests.append((method, url.path))
        if backend.token and self.headers.get("Authorization") != f"Bearer {backend.token}":
            return self.send(401, {"code": 16, "message": "token expired"})
        for place, (verb, part, status) in enumerate(backend.fail):
            if verb == method and re.search(part, url.path):
                del backend.fail[place]
                return self.send(status, {"code": 14, "message": "made to fail"})
        status, content = self.handle_request(method, url.path.removeprefix(PREFIX), parse_qs(url.query), body)
        for place, (verb, part) in enumerate(backend.lose):
            if verb == method and re.search(part, url.path):
                del backend.lose[place]
                self.close_connection = True
                self.connection.close()
                return None
        return self.send(status, content)

    def send(self, status, content):
        raw = json.dumps(api.ApiClient().sanitize_for_serialization(content)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def handle_request(self, method, path, query, body):
        backend = self.backend
        if path == "/healthz":
            return 200, {"multi_user": False}
        if path.startswith("/pipelines/upload_version"):
            return self.upload(query, body)
        parts = path.strip("/").split("/")
        kind = parts[0]
        if kind == "pipelines" and len(parts) >= 3 and parts[2] == "versions":
            found = [one for one in backend.tables["versions"].values() if one.pipeline_id == parts[1]]
            return 200, self.listing("pipeline_versions", found, query)
        if kind not in COLLECTIONS:
            return 404, {"message": f"no such path {path}"}
        table, key = backend.tables[kind], COLLECTIONS[kind]
        if method == "POST" and len(parts) == 1:
            item = model_from(kind, json.loads(body))
            if kind in ("pipelines", "experiments") and any(
                one.display_name == item.display_name for one in table.values()
            ):
                return 409, {"message": "already exists"}
            if kind == "runs":
                item.state = "PENDING"
            if kind == "recurringruns":
                item.status = "ENABLED" if item.mode == "ENABLE" else "DISABLED"
            return 200, backend.add(kind, key, item)
        if method == "GET" and len(parts) == 1:
            name = "recurringRuns" if kind == "recurringruns" else kind
            return 200, self.listing(name, list(table.values()), query)
        identity = parts[1].split(":")[0]
        if identity not in table:
            return 404, {"message": f"{identity} not found"}
        if method == "DELETE":
            del table[identity]
            return 200, {}
        if parts[1].endswith(":terminate"):
            table[identity].state = "CANCELING"
            return 200, {}
        return 200, table[identity]

    def upload(self, query, body):
        backend = self.backend
        name, pipeline = query["name"][0], query["pipelineid"][0]
        if any(one.display_name == name and one.pipeline_id == pipeline for one in backend.tables["versions"].values()):
            return 409, {"message": f"version {name} already exists"}
        text = body.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0].decode()
        spec = next(yaml.safe_load_all(text))
        item = api.V2beta1PipelineVersion(display_name=name, pipeline_id=pipeline, pipeline_spec=spec["pipelineInfo"])
        return 200, backend.add("versions", "pipeline_version_id", item)

    def listing(self, name, found, query):
        for predicate in json.loads(query.get("filter", ["{}"])[0]).get("predicates", []):
            assert predicate["operation"] in ("EQUALS", 1)
            found = [one for one in found if getattr(one, predicate["key"]) == predicate["stringValue"]]
        for key in ("experiment_id", "namespace"):
            if query.get(key):
                found = [one for one in found if getattr(one, key, None) in (None, query[key][0])]
        if query.get("sort_by") == ["created_at desc"]:
            found = found[::-1]
        start = int(query.get("page_token", ["0"])[0] or 0)
        end = start + self.backend.page
        return {name: found[start:end], "next_page_token": str(end) if end < len(found) else ""}


class Server:
    """The service on a port; it can be stopped and started again with what it holds."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.handler = type("Bound", (Handler,), {"backend": backend})
        self.port = 0
        self.start()

    def start(self) -> None:
        ThreadingHTTPServer.allow_reuse_address = True
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), self.handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HOME", str(tmp_path))  # the SDK keeps a context file there
    monkeypatch.delenv("FLYWHEEL_KFP_TOKEN", raising=False)
    running = Server(Backend())
    yield running
    running.stop()


@pytest.fixture
def backend(server):
    return server.backend


@pytest.fixture
def connection(server):
    return Service(server.url, pause=0.01).connect()

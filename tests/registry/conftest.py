"""Registries of every kind behind one interface: SQLite, a log in memory, a real MLflow server, a Model Registry."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from flywheel.components.registry.log_registry import LogRegistry
from flywheel.components.registry.log_store import Entry, Shown
from flywheel.components.registry.mlflow_store import MlflowStore
from flywheel.components.registry.model_registry_store import ModelRegistryStore
from flywheel.components.registry.sqlite_registry import SqliteRegistry

KINDS = ("sqlite", "memory", "mlflow", "kubeflow")


class MemoryStore:
    """A log in memory."""

    def __init__(self):
        self.entries, self.aliases, self.projected = {}, {}, {}

    def append(self, stream, text, uri=""):
        kept = self.entries.setdefault(stream, [])
        kept.append(Entry(len(kept) + 1, text))
        return len(kept)

    def read(self, stream):
        return list(self.entries.get(stream, []))

    def replace(self, stream, number, text):
        self.entries[stream][number - 1] = Entry(number, text)

    def streams(self):
        return list(self.entries)

    def shown(self, stream):
        return Shown(dict(self.aliases.get(stream, {})), self.projected.get(stream, 0))

    def show(self, stream, aliases, projected):
        self.aliases[stream], self.projected[stream] = dict(aliases), projected


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory):
    """Address of a real MLflow server on SQLite, from a virtual environment of its own."""
    command = os.environ.get("FLYWHEEL_MLFLOW", "")
    if not command or shutil.which(command) is None:
        pytest.skip("no MLflow server: set FLYWHEEL_MLFLOW to the path that .ci/mlflow prints")
    os.environ["NO_PROXY"] = "127.0.0.1"
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [command, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
         "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", str(folder / "files")],
        stdout=log, stderr=log, start_new_session=True, cwd=folder,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"},
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 100
    while True:
        assert process.poll() is None, (folder / "log").read_text(errors="replace")[-2000:]
        assert time.monotonic() < deadline, "MLflow did not start"
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):
                break
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    yield address
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    log.close()


class ModelRegistryHandler(BaseHTTPRequestHandler):
    """The v1alpha3 REST API; every body goes through the models that are generated from the project's OpenAPI."""

    def log_message(self, *_args):
        return None

    def do_GET(self):
        self.answer("GET")

    def do_POST(self):
        self.answer("POST")

    def do_PATCH(self):
        self.answer("PATCH")

    def answer(self, method):
        url = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        world = self.server.world
        for place, (verb, part, status) in enumerate(world["fail"]):
            if verb == method and re.search(part, url.path):
                del world["fail"][place]
                if status:
                    return self.send(status, {"message": "made to fail"})
                self.handle_one(method, url, raw)  # done, but the answer is lost
                self.close_connection = True
                return self.connection.close()
        return self.send(*self.handle_one(method, url, raw))

    def send(self, status, content):
        text = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
        return None

    def handle_one(self, method, url, raw):
        from mr_openapi import models

        world, path = self.server.world, url.path.removeprefix("/api/model_registry/v1alpha3").strip("/").split("/")
        query = {key: value[0] for key, value in parse_qs(url.query).items()}
        body = json.loads(raw) if raw else {}
        with world["lock"]:
            if path == ["registered_model"] or path == ["model_version"]:
                table = world["models"] if path == ["registered_model"] else world["versions"]
                found = [
                    one for one in table.values()
                    if one["name"] == query["name"]
                    and one.get("registeredModelId") == query.get("parentResourceId", one.get("registeredModelId"))
                ]  # fmt: skip
                return (200, found[0]) if found else (404, {"code": "404", "message": "not found"})
            if path[0] == "registered_models" and len(path) == 1 and method == "POST":
                made = models.RegisteredModelCreate.from_dict(body)
                return self.create(world["models"], made.to_dict(), lambda one: one["name"])
            if path[0] == "registered_models" and len(path) == 1:
                return self.listing(list(world["models"].values()), query)
            if path[0] == "registered_models" and len(path) == 3 and method == "POST":
                made = models.ModelVersionCreate.from_dict(body)
                return self.create(
                    world["versions"], made.to_dict(), lambda one: (one["registeredModelId"], one["name"])
                )
            if path[0] == "registered_models" and len(path) == 3:
                listed = [one for one in world["versions"].values() if one["registeredModelId"] == path[1]]
                return self.listing(listed, query)
            if method == "PATCH":
                registered = path[0] == "registered_models"
                update = (models.RegisteredModelUpdate if registered else models.ModelVersionUpdate).from_dict(body)
                table = world["models"] if registered else world["versions"]
                table[path[1]] |= {key: value for key, value in update.to_dict().items() if key != "state"}
                return 200, table[path[1]]
        return 404, {"message": f"no path {url.path}"}

    def create(self, table, content, key):
        if any(key(one) == key(content) for one in table.values()):
            return 409, {"code": "409", "message": "already exists"}
        content["id"] = str(len(table) + 1)
        table[content["id"]] = content
        return 201, content

    def listing(self, items, query):
        size = min(int(query.get("pageSize", 100)), 3)  # small pages, so that paging is used
        start = int(query.get("nextPageToken") or 0)
        page = items[start : start + size]
        token = str(start + size) if start + size < len(items) else ""
        return 200, {"items": page, "size": len(page), "pageSize": size, "nextPageToken": token}


@pytest.fixture
def model_registry(monkeypatch):
    """A Model Registry in the test: (address, its world)."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), ModelRegistryHandler)
    server.world = {"models": {}, "versions": {}, "fail": [], "lock": threading.Lock()}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", server.world
    server.shutdown()
    server.server_close()


class Prefixed:
    """A store whose names are the test's own, because all tests share one MLflow server."""

    def __init__(self, store, prefix):
        self._store, self._prefix = store, prefix

    def __getattr__(self, name):
        function = getattr(self._store, name)
        if name == "streams":
            return lambda: [one.removeprefix(self._prefix) for one in function() if one.startswith(self._prefix)]
        return lambda stream, *rest, **named: function(self._prefix + stream, *rest, **named)


@pytest.fixture
def registry_of(request, tmp_path):
    """Make a registry of a kind; a second one of the same kind is another client of the same registry."""
    memory = MemoryStore()
    prefix = f"t{abs(hash(request.node.nodeid)) % 10**10}-"

    def make(kind, clock=time.time):
        if kind == "sqlite":
            return SqliteRegistry(tmp_path / "registry.db", clock)
        if kind == "memory":
            return LogRegistry(memory, clock)
        if kind == "mlflow":
            return LogRegistry(Prefixed(MlflowStore(request.getfixturevalue("mlflow_server")), prefix), clock)
        return LogRegistry(ModelRegistryStore(request.getfixturevalue("model_registry")[0]), clock)

    return make

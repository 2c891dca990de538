"""A service as users run it: its own process on loopback, its own store and segments."""

import contextlib
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from flywheel.components.store import delta_table

KEY = "k-7f3a9d0c"


class Service:
    def __init__(self, root, options=(), environment=None):
        self.root, self.store, self.segments = root, root / "store", root / "segments"
        self.options, self.environment = list(options), environment or {}
        self.log = root / "log"
        self.child = None
        self.port = 0

    def start(self, wait=True):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [sys.executable, "-m", "flywheel.scripts.command.app", "serve-intake"]
        command += ["--store", str(self.store), "--segments", str(self.segments), "--port", str(self.port)]
        environment = {name: text for name, text in os.environ.items() if not name.startswith("FLYWHEEL_")}
        environment |= {"FLYWHEEL_PSEUDONYM_KEY": "00" * 32, **self.environment}
        with self.log.open("ab") as log:
            self.child = subprocess.Popen([*command, *self.options], env=environment, stdout=log, stderr=log)
        until = time.monotonic() + 60
        while wait:
            with contextlib.suppress(OSError):
                if self.call("GET", "/readyz")[0] == 200:
                    break
            assert self.child.poll() is None, self.log.read_text()
            assert time.monotonic() < until, "the service did not come up"
            time.sleep(0.05)
        return self

    def call(self, method, path, body=None, headers=None, timeout=30):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            connection.request(method, path, data, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()

    def post(self, path, body, headers=None):
        status, text, found = self.call("POST", path, body, {"content-type": "application/json", **(headers or {})})
        return status, json.loads(text), found

    def metric(self, name, **labels):
        text = self.call("GET", "/metrics")[1].decode()
        for line in text.splitlines():
            match = re.fullmatch(re.escape(name) + r"(?:\{(.*)\})? (\S+)", line)
            if match and dict(re.findall(r'(\w+)="([^"]*)"', match.group(1) or "")) == labels:
                return float(match.group(2))
        return None

    def until(self, wanted, seconds=40):
        until = time.monotonic() + seconds
        while not wanted():
            assert time.monotonic() < until, self.log.read_text()[-2000:]
            time.sleep(0.05)

    def kill(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()

    def stop(self):
        self.child.terminate()
        return self.child.wait(60)

    def rows(self, table):
        return delta_table.read(delta_table.latest(str(self.store), table)).to_pylist()

    def files(self):
        return sorted(path for path in self.segments.rglob("*") if path.is_file() and path.name != "lock")


@pytest.fixture
def start(tmp_path):
    """Start services that are gone when the test is over; insecure on loopback unless told otherwise."""
    made = []

    def make(*options, environment=None, root=tmp_path, wait=True):
        open_door = [] if environment else ["--insecure-no-auth"]
        root.mkdir(exist_ok=True)
        service = Service(root, [*open_door, *options], environment)
        made.append(service)
        return service.start(wait)

    yield make
    for service in made:
        if service.child is not None and service.child.poll() is None:
            service.kill()


@pytest.fixture
def keys_file(tmp_path):
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"web": hashlib.sha256(KEY.encode()).hexdigest()}))
    return path


def event(half, identity="inf-1", data=None, **more):
    default = {"request": {"messages": [{"role": "user", "content": "What is the refund period?"}], "model": "m"},
               "response": {"choices": [{"message": {"role": "assistant", "content": "14 days."}}], "model": "m"}}  # fmt: skip
    return {
        "specversion": "1.0",
        "id": identity,
        "source": "http://assistant-predictor/",
        "type": f"org.kubeflow.serving.inference.{half}",
        "data": default[half] if data is None else data,
        **more,
    }


@pytest.fixture(name="event", scope="session")
def event_fixture():
    return event

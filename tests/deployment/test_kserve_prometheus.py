"""Errors and latencies from a real Prometheus (Debian's package) that scrapes an exporter of this test."""

import json
import shutil
import socket
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from flywheel.components.deployment.canary.policy import KillSwitches
from flywheel.components.deployment.cluster.prometheus import (
    PRESETS,
    ErrorAlarm,
    Prometheus,
    PrometheusError,
    Queries,
)

KILL = KillSwitches(error_rate=0.2, minimum_errors=5)
ARMS = {"production": "assistant-predictor", "candidate": "assistant-c-1-predictor"}
BUCKETS = (50, 100, 250, 500, 1000)


class Exporter:
    """Counters and a latency histogram by backend, as Istio's gateway shows them; and answers that are no Prometheus."""

    def __init__(self):
        self.requests = {arm: {"200": 0, "503": 0} for arm in ARMS.values()}
        self.slow = dict.fromkeys(ARMS.values(), 0)
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path == "/metrics":
                    return self._say(200, "text/plain", exporter.text())
                if self.path.startswith("/secret"):
                    token = self.headers.get("Authorization") == "Bearer let-me-in"
                    return self._say(200 if token else 401, "application/json", VECTOR if token else "no")
                if self.path.startswith("/cut"):
                    return self.connection.close()
                return self._say(200, "text/html", "<html>log in</html>")

            def _say(self, status, kind, text):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def text(self):
        lines = ["# TYPE istio_requests_total counter", "# TYPE istio_request_duration_milliseconds histogram"]
        for arm, codes in self.requests.items():
            where = f'destination_service_namespace="flywheel",destination_service_name="{arm}"'
            lines += [f'istio_requests_total{{{where},response_code="{code}"}} {n}' for code, n in codes.items()]
            total = sum(codes.values())
            fast = total - self.slow[arm]
            for edge in BUCKETS:
                count = fast if edge < 500 else total
                lines.append(f'istio_request_duration_milliseconds_bucket{{{where},le="{edge}"}} {count}')
            lines.append(f'istio_request_duration_milliseconds_bucket{{{where},le="+Inf"}} {total}')
        return "\n".join(lines) + "\n"


VECTOR = json.dumps(
    {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "7"]}]}}
)


@pytest.fixture(scope="module")
def exporter():
    made = Exporter()
    yield made
    made.server.shutdown()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def prometheus(exporter, tmp_path_factory):
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("no prometheus: apt-get install prometheus (Debian, Ubuntu), or put a release's binary on the PATH")
    home = tmp_path_factory.mktemp("prometheus")
    target = exporter.url.removeprefix("http://")
    scrape = {"job_name": "gateway", "scrape_interval": "200ms", "scrape_timeout": "200ms"}
    scrape["static_configs"] = [{"targets": [target]}]
    (home / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": [scrape]}))
    port = free_port()
    command = [
        binary,
        f"--config.file={home / 'prometheus.yml'}",
        f"--storage.tsdb.path={home / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (home / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as running:
        client = Prometheus(f"http://127.0.0.1:{port}")
        try:
            wait_for(lambda: answers(client), home / "log")
            yield client
        finally:
            running.kill()


def answers(client):
    try:
        return client.number("vector(1)") == 1.0
    except PrometheusError:
        return False


def wait_for(true, log: Path | None = None, seconds: float = 60.0):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-1500:] if log else "it did not come"
        time.sleep(0.1)


@pytest.mark.slow
def test_kill_switch_on_a_real_prometheus(prometheus, exporter):
    since = datetime.now(UTC)
    alarm = ErrorAlarm(prometheus, PRESETS["Standard"], "flywheel", KILL)
    wait_for(
        lambda: alarm.health(ARMS["production"], since - timedelta(seconds=30), datetime.now(UTC)).requests is not None
    )
    assert alarm.unknown(ARMS, since, datetime.now(UTC))[0].startswith("no-series: Prometheus at http://127.0.0.1")
    for _ in range(10):  # traffic over two seconds: increase() needs two scrapes
        exporter.requests[ARMS["production"]]["200"] += 90
        exporter.requests[ARMS["candidate"]]["200"] += 6
        exporter.requests[ARMS["candidate"]]["503"] += 4
        exporter.slow[ARMS["candidate"]] += 9
        time.sleep(0.2)

    def health(arm):
        return alarm.health(ARMS[arm], since - timedelta(seconds=5), datetime.now(UTC))

    wait_for(lambda: (health("candidate").errors or 0) > 30)
    candidate, production = health("candidate"), health("production")
    assert candidate.errors / candidate.requests == pytest.approx(0.4, abs=0.02)
    assert (production.errors, production.latency_p95_ms < 60) == (0.0, True)
    assert 250 < candidate.latency_p95_ms <= 500
    killed = alarm.kills(ARMS, since - timedelta(seconds=5), datetime.now(UTC))
    assert killed[0].startswith("kill-errors: ")
    assert "requests to the candidate failed (Prometheus; production 0 of" in killed[0]
    assert alarm.unknown(ARMS, since - timedelta(seconds=5), datetime.now(UTC)) == ()
    turned = {"production": ARMS["candidate"], "candidate": ARMS["production"]}
    assert alarm.kills(turned, since - timedelta(seconds=5), datetime.now(UTC)) == ()


@pytest.mark.slow
def test_what_a_real_prometheus_refuses(prometheus):
    with pytest.raises(PrometheusError, match=r"Prometheus refuses 'sum\(': bad_data: .*parse error"):
        prometheus.number("sum(")
    with pytest.raises(PrometheusError, match=r"'up\[1m\]' gives a matrix; an instant query for a number is wanted"):
        prometheus.number("up[1m]")
    wait_for(lambda: (prometheus.number("count(istio_requests_total)") or 0) > 1)
    with pytest.raises(PrometheusError, match=r"gives 4 series, wanted one: sum over their labels"):
        prometheus.number("istio_requests_total")
    assert prometheus.number("no_such_metric") is None
    assert prometheus.number("vector(0) / 0") is None  # NaN is no number to decide on
    assert prometheus.number("scalar(vector(3))") == 3.0


def test_addresses_that_are_no_prometheus(exporter, monkeypatch):
    with pytest.raises(ValueError, match="give an address such as http://prometheus.monitoring:9090"):
        Prometheus("prometheus:9090")
    with pytest.raises(PrometheusError, match=r"is no Prometheus: HTTP 200 without its JSON \(b'<html>log in"):
        Prometheus(exporter.url).number("up")
    with pytest.raises(
        PrometheusError, match=r"no answer from Prometheus at .*check the address, and that the NetworkPol"
    ):
        Prometheus(f"http://127.0.0.1:{free_port()}").number("up")
    with pytest.raises(PrometheusError, match="no answer from Prometheus"):
        Prometheus(f"{exporter.url}/cut").number("up")
    with pytest.raises(PrometheusError, match=r"answers 401: give a token .*\(FLYWHEEL_PROMETHEUS_TOKEN\)"):
        Prometheus(f"{exporter.url}/secret").number("up")
    monkeypatch.setenv("FLYWHEEL_PROMETHEUS_TOKEN", "let-me-in")
    assert Prometheus(f"{exporter.url}/secret").number("up") == 7.0


def test_queries_of_ones_own(tmp_path):
    (tmp_path / "q.yaml").write_text("requests: a\nerrors: b\nlatency: c\n")
    assert Queries.from_yaml(tmp_path / "q.yaml") == Queries("a", "b", "c")
    (tmp_path / "bad.yaml").write_text("requests: a\n")
    with pytest.raises(ValueError, match="must give PromQL for requests, errors and latency"):
        Queries.from_yaml(tmp_path / "bad.yaml")
    for preset in PRESETS.values():
        for query in (preset.requests, preset.errors, preset.latency):
            assert all(place in query for place in ("{arm}", "{namespace}", "{window}"))

"""Store, registry, endpoints and secrets are tried by using them; what is missing says what to do."""

import http.server
import threading

import pytest

from flywheel.components.preflight import reach, surroundings
from flywheel.components.preflight.findings import Finding, NotReadyError, demand
from flywheel.components.store import lineage


@pytest.fixture
def answering(monkeypatch):
    """A server whose answers are `status` for every GET."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Handler(http.server.BaseHTTPRequestHandler):
        status = 200

        def do_GET(self):
            self.send_response(self.status)
            self.end_headers()

        def log_message(self, *_):
            return None

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", Handler
    server.shutdown()


def test_everything_is_there(tmp_path, answering):
    store, registry = str(tmp_path / "store"), f"sqlite:///{tmp_path / 'r.db'}"
    unknown = surroundings.check(store, registry, answering[0], list, tmp_path / "page.md", "r1")
    assert unknown == 0
    page = (tmp_path / "page.md").read_text()
    assert page.count("| ready |") == 3
    (record,) = lineage.of_step(store, "check_surroundings")
    assert record.outcome == "3 ready"


def test_all_that_is_missing_is_told_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotReadyError) as refused:
        surroundings.check(str(tmp_path / "file"), "other://x", "http://127.0.0.1:9", list, tmp_path / "page.md", "r1")
    text = str(refused.value)
    assert "3 of 3 things" in text
    for words in ("give a folder that this step can write to", "check the URI", "NetworkPolicy"):
        assert words in text
    assert (tmp_path / "page.md").read_text().count("| missing |") == 3, "the page is there for who looks"


def test_unknown_does_not_stop_and_is_counted(tmp_path):
    def asked():
        return [Finding("nodes", "unknown", "may not look")]

    store, registry = str(tmp_path / "store"), f"sqlite:///{tmp_path / 'r.db'}"
    assert surroundings.check(store, registry, "", asked, tmp_path / "page.md", "r1") == 1


@pytest.mark.parametrize(("status", "state"), [(200, "ready"), (404, "ready"), (401, "ready"), (503, "missing")])
def test_endpoint_is_there_when_it_answers(answering, status, state):
    url, handler = answering
    handler.status = status
    assert reach.endpoint("judge", url).state == state


@pytest.mark.parametrize("url", ["ftp://x", "x:9090", "http://127.0.0.1:9"])
def test_endpoint_that_is_none(url):
    found = reach.endpoint("Prometheus", url, seconds=2)
    assert found.state == "missing"
    assert found.remedy


def test_secret_is_looked_for_and_never_shown(monkeypatch):
    monkeypatch.setenv("THERE", "value-of-the-secret")
    monkeypatch.setenv("EMPTY", " ")
    found = reach.variables({"THERE": "secret a", "EMPTY": "secret b", "NOT_THERE": "secret c"})
    assert [one.state for one in found] == ["ready", "missing", "missing"]
    assert "value-of-the-secret" not in "".join(one.line() for one in found)
    assert "mount secret b" in found[1].remedy


def test_demand_lets_ready_pass():
    demand([Finding("a", "ready"), Finding("b", "unknown")])
    with pytest.raises(NotReadyError, match="1 of 2"):
        demand([Finding("a", "ready"), Finding("b", "missing", "gone", "make it")])


def test_command(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from flywheel.scripts.command.app import app

    words = ["preflight", "--store", str(tmp_path / "s"), "--registry", f"sqlite:///{tmp_path / 'r.db'}"]
    fine = CliRunner().invoke(app, words)
    assert (fine.exit_code, "2 looked for, 0 missing" in fine.output) == (0, True)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    bad = CliRunner().invoke(app, [*words, "--launcher", "trainjob", "--kfp", "http://127.0.0.1:9"])
    assert bad.exit_code == 1
    assert "MISSING cluster" in bad.output
    assert "MISSING pipeline service" in bad.output

"""Watching a run through restarts, and the commands a person types."""

import threading

import kfp_server_api as api
import pytest
from typer.testing import CliRunner

from flywheel.pipelines.compile import COMPILED
from flywheel.pipelines.service import runs, versions
from flywheel.pipelines.service.errors import MissingError, UnreachableError
from flywheel.pipelines.service.versions import Compiled
from flywheel.pipelines.service.watching import watch
from flywheel.scripts.command.app import app

MONITOR = Compiled.read(COMPILED / "monitor_model.yaml", "1.2.3")


@pytest.fixture
def run(connection, backend):
    wanted = runs.Order("turn-1", "nightly", {"store": "s", "run_id": "r"})
    made, _ = runs.submit(connection, wanted, versions.ensure(connection, MONITOR))
    return backend.tables["runs"][made.run_id]


def tasks(**states):
    return api.V2beta1RunDetails(
        task_details=[api.V2beta1PipelineTaskDetail(display_name=name, state=state) for name, state in states.items()]
    )


def test_changes_are_told_once_and_the_end_gives_the_exit_code(connection, run):
    lines = []
    states = iter(
        [("RUNNING", {"drift": "RUNNING"}), ("RUNNING", {"drift": "RUNNING"}), ("FAILED", {"drift": "FAILED"})]
    )

    def tell(line):
        lines.append(line)

    def step():
        state, found = next(states)
        run.state, run.run_details = state, tasks(**found)

    original = connection.client.get_run

    def get_run(run_id):
        step()
        return original(run_id)

    connection.client.get_run = get_run
    assert watch(connection, run.run_id, tell, every=0.01) == 1
    assert lines == ["running    drift", "failed     drift", "failed     turn-1"]


def test_restart_of_the_service_is_survived(connection, run, server):
    lines = []
    server.stop()

    def come_back():
        run.state = "SUCCEEDED"
        server.start()

    timer = threading.Timer(0.4, come_back)
    timer.start()
    assert watch(connection, run.run_id, lines.append, every=0.05, patience=30) == 0
    timer.join()
    assert lines[0].startswith("the service is away")
    assert lines[1:] == ["the service is back", "succeeded  turn-1"]


def test_runs_survive_a_restart(connection, run, server):
    server.stop()
    threading.Timer(0.05, server.start).start()
    connection.service.__dict__["pause"] = 0.1
    assert [one.name for one in runs.listed(connection)] == ["turn-1"]


def test_patience_ends(connection, run, server):
    server.stop()
    with pytest.raises(UnreachableError):
        watch(connection, run.run_id, lambda _: None, every=0.02, patience=0.1)
    server.start()


def test_longest_ends_the_watch_not_the_run(connection, run):
    run.state = "RUNNING"
    with pytest.raises(UnreachableError, match="still running"):
        watch(connection, run.run_id, lambda _: None, every=0.02, longest=0.05)
    assert run.state == "RUNNING"


def test_unknown_run(connection):
    with pytest.raises(MissingError, match="nothing not found"):
        runs.by_name_or_id(connection, "nothing")


def test_commands(server, backend, tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text("store: s3://a\n")
    words = ["--endpoint", server.url]
    submit = [
        "submit",
        "monitor-model",
        "--params",
        str(file),
        "--set",
        "run_id=r",
        "--name",
        "n1",
        "--label",
        "team=a",
        *words,
    ]
    first = CliRunner().invoke(app, submit)
    assert first.exit_code == 0, first.output
    assert "submitted: n1 (pending)" in first.output
    assert "already there: n1" in CliRunner().invoke(app, submit).output
    assert len(backend.tables["runs"]) == 1
    listed = CliRunner().invoke(app, ["runs", *words])
    assert "n1" in listed.output
    assert "team=a" in listed.output
    planned = CliRunner().invoke(
        app, ["schedule", "monitor-model", "--cron", "0 3 * * *", "--set", "store=s", "--set", "run_id=", *words]
    )
    assert planned.exit_code == 0, planned.output
    assert "created: schedule monitor-model" in planned.output
    (run,) = backend.tables["runs"].values()
    run.state = "SUCCEEDED"
    watched = CliRunner().invoke(app, ["watch", "n1", *words])
    assert (watched.exit_code, watched.output) == (0, "succeeded  n1\n")
    run.state = "FAILED"
    assert CliRunner().invoke(app, ["watch", "n1", *words]).exit_code == 1

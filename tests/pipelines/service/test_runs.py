"""Submitting: one run for each name, whatever is lost on the way."""

import pytest

from flywheel.pipelines.compile import COMPILED
from flywheel.pipelines.service import parameters, runs, versions
from flywheel.pipelines.service.connection import Service
from flywheel.pipelines.service.errors import (
    ConflictError,
    MissingError,
    ServiceError,
    UnauthorizedError,
    UnreachableError,
)
from flywheel.pipelines.service.versions import Compiled

MONITOR = Compiled.read(COMPILED / "monitor_model.yaml", "1.2.3")


def order(name="turn-1", **values):
    return runs.Order(
        name, "nightly", {"store": "s3://feedback", "run_id": "r", "current_days": 7.0, **values}, {"team": "a"}
    )


def test_first_submit_uploads_the_version_and_makes_the_run(connection, backend):
    reference = versions.ensure(connection, MONITOR)
    run, made = runs.submit(connection, order(), reference)
    assert made
    (stored,) = backend.tables["runs"].values()
    assert stored.runtime_config.parameters["store"] == "s3://feedback"
    assert stored.pipeline_version_reference.pipeline_version_id == reference.version_id
    assert run.labels == {"team": "a"}
    (version,) = backend.tables["versions"].values()
    assert version.display_name == MONITOR.version
    assert version.pipeline_spec["name"] == "monitor-model"


def test_second_submit_adopts_run_version_pipeline_and_experiment(connection, backend):
    for made in (True, False):
        assert runs.submit(connection, order(), versions.ensure(connection, MONITOR))[1] is made
    assert {name: len(table) for name, table in backend.tables.items()} == {
        "pipelines": 1, "experiments": 1, "runs": 1, "versions": 1, "recurringruns": 0,
    }  # fmt: skip


@pytest.mark.parametrize("what", ["pipelines$", "upload_version", "experiments$", "runs$"])
def test_lost_response_makes_no_second_one(connection, backend, what):
    backend.lose.append(("POST", what))
    run, _ = runs.submit(connection, order(), versions.ensure(connection, MONITOR))
    assert not backend.lose, "the answer was lost"
    assert {name: len(table) for name, table in backend.tables.items() if name != "recurringruns"} == {
        "pipelines": 1, "experiments": 1, "runs": 1, "versions": 1,
    }  # fmt: skip
    assert run.run_id == "runs-1"


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize(
    ("method", "what"), [("POST", "runs$"), ("GET", "runs$"), ("GET", "experiments"), ("POST", "upload")]
)
def test_passing_failure_of_the_service_is_survived(connection, backend, method, what, status):
    backend.fail.append((method, what, status))
    runs.submit(connection, order(), versions.ensure(connection, MONITOR))
    assert not backend.fail
    assert len(backend.tables["runs"]) == 1


def test_failure_that_stays_is_told(connection, backend):
    reference = versions.ensure(connection, MONITOR)
    backend.fail += [("POST", "runs$", 503)] * 3
    with pytest.raises(UnreachableError, match=r"turn-1 could not be submitted.*503"):
        runs.submit(connection, order(), reference)
    assert not backend.tables["runs"]


def test_two_submitters_at_once_leave_one_run(connection, backend):
    reference = versions.ensure(connection, MONITOR)
    first, _ = runs.submit(connection, order(), reference)
    experiment = runs._experiment(connection, "nightly")
    runs._create(connection, order(), reference, experiment)
    again, made = runs.submit(connection, order(), reference)
    assert not made
    assert again.run_id == first.run_id
    assert [one.state for one in backend.tables["runs"].values()] == ["PENDING", "CANCELING"]


def test_same_name_with_other_parameters_is_refused(connection):
    reference = versions.ensure(connection, MONITOR)
    runs.submit(connection, order(), reference)
    with pytest.raises(ConflictError, match="other parameters; choose another --name"):
        runs.submit(connection, order(current_days=8.0), reference)
    assert not runs.submit(connection, order(current_days=7), reference)[1], "7 and 7.0 are one number"


def test_version_that_is_missing_is_named_with_those_that_are_there(connection):
    with pytest.raises(MissingError, match="no pipeline monitor-model"):
        versions.required(connection, "monitor-model", "9.9.9-x")
    versions.ensure(connection, MONITOR)
    with pytest.raises(MissingError, match=f"no version 9.9.9-x; the newest are: {MONITOR.version}"):
        versions.required(connection, "monitor-model", "9.9.9-x")
    assert versions.required(connection, "monitor-model", MONITOR.version).version == MONITOR.version


def test_runs_are_listed_newest_first_over_pages(connection):
    reference = versions.ensure(connection, MONITOR)
    for number in range(5):
        runs.submit(connection, order(f"turn-{number}"), reference)
    assert [run.name for run in runs.listed(connection, limit=4)] == ["turn-4", "turn-3", "turn-2", "turn-1"]
    assert len(runs.listed(connection, experiment="nightly")) == 5
    assert runs.listed(connection, labels={"team": "b"}) == []
    with pytest.raises((ServiceError, ValueError), match="nowhere"):
        runs.listed(connection, experiment="nowhere")


def test_nothing_listens(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(UnreachableError, match=r"no pipeline service at http://127\.0\.0\.1:9 .*--endpoint"):
        Service("http://127.0.0.1:9", tries=2, pause=0.01).connect()


def test_address_is_asked_for(monkeypatch):
    monkeypatch.delenv("FLYWHEEL_KFP_ENDPOINT", raising=False)
    with pytest.raises(ValueError, match="FLYWHEEL_KFP_ENDPOINT"):
        Service.of("")


def test_token_is_needed_and_a_rotated_one_is_taken_up(server, backend, tmp_path):
    backend.token = "first"
    with pytest.raises(UnauthorizedError, match="wants a login"):
        Service(server.url, pause=0.01).connect()
    file = tmp_path / "token"
    file.write_text("first\n")
    connection = Service(server.url, token_file=str(file), pause=0.01).connect()
    assert runs.listed(connection) == []
    backend.token = "second"
    with pytest.raises(UnauthorizedError, match="token expired"):
        runs.listed(connection)
    file.write_text("second\n")
    assert runs.listed(connection) == []


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (["stor=x"], "no parameter 'stor'"),
        (["current_days=soon"], "current_days is a NUMBER_DOUBLE"),
        (["current_days=true"], "current_days is a NUMBER_DOUBLE"),
        (["store"], "KEY=VALUE"),
        (["store=x"], "required parameters are missing: run_id"),
    ],
)
def test_bad_parameters_are_refused_before_anything_is_sent(pairs, words):
    with pytest.raises(ValueError, match=words):
        parameters.read("", pairs, MONITOR.interface)


def test_parameter_file_and_pairs(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text("store: s3://a\nrun_id: '7'\ncurrent_days: 3\n")
    values = parameters.read(str(file), ["store=s3://b", "current_days=4.5"], MONITOR.interface)
    assert values == {"store": "s3://b", "run_id": "7", "current_days": 4.5}
    file.write_text("- a\n")
    with pytest.raises(ValueError, match="must hold a mapping"):
        parameters.read(str(file), [], MONITOR.interface)
    with pytest.raises(ValueError, match="cannot be read"):
        parameters.read(str(tmp_path / "none.yaml"), [], MONITOR.interface)

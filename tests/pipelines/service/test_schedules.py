"""Schedules: one recurring run of a name, without a version, whatever was there before."""

import pytest

from flywheel.pipelines.compile import COMPILED
from flywheel.pipelines.service import schedules, versions
from flywheel.pipelines.service.schedules import Schedule
from flywheel.pipelines.service.versions import Compiled

MONITOR = Compiled.read(COMPILED / "monitor_model.yaml", "1.2.3")


@pytest.fixture
def pipeline(connection):
    return versions.ensure(connection, MONITOR).pipeline_id


def wanted(pipeline, cron="0 0 3 * * *", **more):
    return Schedule("nightly", "flywheel", pipeline, cron, {"store": "s", "run_id": ""}, **more)


def held(backend):
    return list(backend.tables["recurringruns"].values())


def test_created_once_then_unchanged(connection, backend, pipeline):
    assert schedules.reconcile(connection, wanted(pipeline))[1] == "created"
    assert schedules.reconcile(connection, wanted(pipeline))[1] == "unchanged"
    (one,) = held(backend)
    assert one.pipeline_version_reference.pipeline_version_id is None, "no pin: it runs the newest version"
    assert one.trigger.cron_schedule.cron == "0 0 3 * * *"
    assert one.max_concurrency == "1"


@pytest.mark.parametrize("change", [{"cron": "0 0 4 * * *"}, {"paused": True}])
def test_changed_schedule_replaces_the_old_one(connection, backend, pipeline, change):
    first, _ = schedules.reconcile(connection, wanted(pipeline))
    second, done = schedules.reconcile(connection, wanted(pipeline, **change))
    assert done == "replaced"
    assert first != second
    assert [one.recurring_run_id for one in held(backend)] == [second]


def test_leftovers_of_a_killed_command_are_reconciled_to_one(connection, backend, pipeline):
    experiment = schedules._experiment(connection, "flywheel")
    for cron in ("0 0 1 * * *", "0 0 3 * * *", "0 0 3 * * *"):
        schedules._create(connection, wanted(pipeline, cron), experiment)
    assert schedules.reconcile(connection, wanted(pipeline))[1] == "unchanged"
    (one,) = held(backend)
    assert one.trigger.cron_schedule.cron == "0 0 3 * * *"


def test_lost_response_makes_no_second_schedule(connection, backend, pipeline):
    backend.lose.append(("POST", "recurringruns$"))
    schedules.reconcile(connection, wanted(pipeline))
    assert not backend.lose
    assert len(held(backend)) == 1


def test_pinned_recurring_run_is_replaced_by_one_without_a_pin(connection, backend, pipeline):
    identity, _ = schedules.reconcile(connection, wanted(pipeline))
    backend.tables["recurringruns"][identity].pipeline_version_reference.pipeline_version_id = "versions-1"
    assert schedules.reconcile(connection, wanted(pipeline))[1] == "replaced"
    (one,) = held(backend)
    assert one.pipeline_version_reference.pipeline_version_id is None


def test_removed(connection, backend, pipeline):
    schedules.reconcile(connection, wanted(pipeline))
    assert schedules.remove(connection, "nightly") == 1
    assert schedules.remove(connection, "nightly") == 0
    assert held(backend) == []


def test_usual_cron_gets_its_seconds():
    assert schedules.six_fields("30 2 * * 1") == "0 30 2 * * 1"
    assert schedules.six_fields("5 30 2 * * 1") == "5 30 2 * * 1"
    with pytest.raises(ValueError, match="five fields"):
        schedules.six_fields("daily")

"""Schedules on the service: one recurring run of a name, without a version, so that it runs the newest one.

Recurring runs cannot be changed, so a changed schedule is a new recurring run, made before the old one goes: a command
that dies in between leaves two, and the next one leaves one (`reconcile` is idempotent).
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flywheel.pipelines.service.connection import Connection
from flywheel.pipelines.service.errors import ConflictError, MissingError, UnreachableError
from flywheel.pipelines.service.parameters import same
from flywheel.pipelines.service.runs import _experiment, _space


@dataclass(frozen=True)
class Schedule:
    """A schedule that is wanted.

    Attributes:
        name: Name of the recurring run.
        experiment: Experiment of its runs.
        pipeline_id: Pipeline on the service; the version is left open.
        cron: Six fields, seconds first, as the service takes them.
        parameters: Values by name.
        service_account: Service account of the pods; empty: the service's default.
        paused: Whether it waits.
    """

    name: str
    experiment: str
    pipeline_id: str
    cron: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    service_account: str = ""
    paused: bool = False


def six_fields(cron: str) -> str:
    """Return a cron line as the service takes it: five usual fields get a leading second.

    Raises:
        ValueError: It has neither five nor six fields.
    """
    fields = cron.split()
    if len(fields) not in (5, 6):
        raise ValueError(f"a cron line has five fields (or six with seconds first), got {cron!r}")
    return " ".join(fields if len(fields) == 6 else ["0", *fields])


def reconcile(connection: Connection, wanted: Schedule) -> tuple[str, str]:
    """Make the service hold exactly this one recurring run of its name.

    Args:
        connection: The service.
        wanted: The schedule.

    Returns:
        Id of the recurring run, and what was done: `unchanged`, `created` or `replaced`.

    Raises:
        ServiceError: The service refuses or stays away.
    """
    experiment = _experiment(connection, wanted.experiment)
    present = _named(connection, wanted.name)
    fitting = [one for one in present if _fits(one, wanted, experiment)]
    done = "unchanged"
    if not fitting:
        done = "replaced" if present else "created"
        for _ in range(3):
            with contextlib.suppress(UnreachableError):  # made or not made: the look below tells
                _create(connection, wanted, experiment)
            fitting = [one for one in _named(connection, wanted.name) if _fits(one, wanted, experiment)]
            if fitting:
                break
        else:
            raise UnreachableError(f"schedule {wanted.name} could not be created on {connection.service.endpoint}")
    keep = min(fitting, key=lambda one: (str(one.created_at or ""), one.recurring_run_id))
    for one in _named(connection, wanted.name):
        if one.recurring_run_id != keep.recurring_run_id:
            _delete(connection, one.recurring_run_id)
    return str(keep.recurring_run_id), done


def remove(connection: Connection, name: str) -> int:
    """Delete every recurring run of a name; returns how many there were."""
    present = _named(connection, name)
    for one in present:
        _delete(connection, one.recurring_run_id)
    return len(present)


def _delete(connection: Connection, recurring_run_id: str) -> None:
    try:
        connection.read("delete an old schedule", connection.client.delete_recurring_run, recurring_run_id)
    except MissingError:
        return  # deleted already: a retry, or somebody else


def _named(connection: Connection, name: str) -> list[Any]:
    query = {"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]}
    return connection.pages(
        "list schedules",
        connection.client.list_recurring_runs,
        "recurring_runs",
        filter=json.dumps(query),
        **_space(connection),
    )


def _fits(one: Any, wanted: Schedule, experiment: str) -> bool:
    reference = one.pipeline_version_reference
    cron = one.trigger.cron_schedule.cron if one.trigger and one.trigger.cron_schedule else ""
    return (
        reference is not None
        and reference.pipeline_id == wanted.pipeline_id
        and not reference.pipeline_version_id
        and one.experiment_id == experiment
        and cron == wanted.cron
        and (one.status == "DISABLED") == wanted.paused
        and (one.service_account or "") == (wanted.service_account or one.service_account or "")
        and same((one.runtime_config.parameters if one.runtime_config else None), wanted.parameters)
    )


def _create(connection: Connection, wanted: Schedule, experiment: str) -> None:
    import kfp_server_api as api

    body = api.V2beta1RecurringRun(
        display_name=wanted.name,
        experiment_id=experiment,
        namespace=connection.service.namespace or None,
        pipeline_version_reference=api.V2beta1PipelineVersionReference(pipeline_id=wanted.pipeline_id),
        runtime_config=api.V2beta1RuntimeConfig(parameters=dict(wanted.parameters)),
        trigger=api.V2beta1Trigger(cron_schedule=api.V2beta1CronSchedule(cron=wanted.cron)),
        mode=api.RecurringRunMode.DISABLE if wanted.paused else api.RecurringRunMode.ENABLE,
        max_concurrency="1",  # one turn of the loop at a time
        no_catchup=True,
        service_account=wanted.service_account or None,
    )
    try:
        connection.write(
            f"create schedule {wanted.name}",
            connection.client._recurring_run_api.recurring_run_service_create_recurring_run,
            recurring_run=body,
        )
    except ConflictError as error:
        raise ConflictError(
            f"{error}; another schedule of the name {wanted.name} was made at the same time: run again"
        ) from error

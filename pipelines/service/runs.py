"""Runs on the service: submitted once for each name, whatever gets lost on the way, and listed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flywheel.pipelines.service.connection import Connection
from flywheel.pipelines.service.errors import ConflictError, UnreachableError
from flywheel.pipelines.service.parameters import same
from flywheel.pipelines.service.versions import Reference

_LABELS = "labels: "
ENDED = {"SUCCEEDED": 0, "FAILED": 1, "CANCELED": 1, "SKIPPED": 1}
"""States in which a run stays, with the exit code they give."""


@dataclass(frozen=True)
class Order:
    """A run that is wanted.

    Attributes:
        name: Name of the run; the same name again is the same run.
        experiment: Experiment it belongs to; created when missing.
        parameters: Values by name.
        labels: Labels by name; kept in the run's description, because the API has no field for them.
        service_account: Kubernetes service account of the pods; empty: the service's default.
    """

    name: str
    experiment: str
    parameters: Mapping[str, Any]
    labels: Mapping[str, str] = field(default_factory=dict)
    service_account: str = ""


@dataclass(frozen=True)
class Run:
    """A run as the service has it."""

    run_id: str
    name: str
    state: str
    created: datetime | None
    finished: datetime | None
    version_id: str
    labels: dict[str, str]
    parameters: dict[str, Any]
    error: str = ""


def submit(connection: Connection, order: Order, version: Reference) -> tuple[Run, bool]:
    """Make sure that the run exists, exactly once.

    The service knows no idempotency key, and a lost answer does not tell whether the run was made. So the name is
    looked up before each attempt; should two of the name appear (two submitters at once), the older one stays and the
    younger is terminated.

    Args:
        connection: The service.
        order: The run that is wanted.
        version: Pipeline version to run.

    Returns:
        The run, and whether this call made it.

    Raises:
        ConflictError: A run of that name exists with another version or other parameters.
        ServiceError: The service refuses or stays away.
    """
    experiment = _experiment(connection, order.experiment)
    problem = ""
    for _ in range(3):
        present = _named(connection, order.name)
        if present:
            return _adopted(connection, present, order, version), bool(problem)
        try:
            _create(connection, order, version, experiment)
        except UnreachableError as error:
            problem = str(error)  # made or not made: the next look tells
            continue
        present = _named(connection, order.name)
        if present:
            return _adopted(connection, present, order, version), True
        problem = "the service accepted the run but does not list it"
    present = _named(connection, order.name)
    if not present:
        raise UnreachableError(f"run {order.name} could not be submitted: {problem}")
    return _adopted(connection, present, order, version), True


def listed(
    connection: Connection, experiment: str = "", limit: int = 20, labels: Mapping[str, str] | None = None
) -> list[Run]:
    """List runs, newest first.

    Args:
        connection: The service.
        experiment: Only of this experiment; empty: all.
        limit: Most runs to return.
        labels: Only runs that carry these labels.

    Returns:
        The runs.

    Raises:
        ValueError: There is no such experiment.
    """
    options: dict[str, Any] = {"sort_by": "created_at desc"}
    if experiment:
        found = connection.read(
            "find the experiment", connection.client.get_experiment, experiment_name=experiment, **_space(connection)
        )
        options["experiment_id"] = found.experiment_id
    else:
        options |= _space(connection)
    wanted = dict(labels or {})
    result: list[Run] = []
    token = ""
    while len(result) < limit:
        page = connection.read(
            "list runs", connection.client.list_runs, page_token=token, page_size=min(100, max(limit, 10)), **options
        )
        result += [run for run in map(_run, page.runs or []) if wanted.items() <= run.labels.items()]
        token = page.next_page_token or ""
        if not token:
            break
    return result[:limit]


def by_name_or_id(connection: Connection, text: str) -> Run:
    """Find one run.

    Raises:
        MissingError: There is none of that name or id.
    """
    named = _named(connection, text)
    return named[0] if named else _run(connection.read(f"find run {text}", connection.client.get_run, text))


def _create(connection: Connection, order: Order, version: Reference, experiment: str) -> None:
    from kfp_server_api import V2beta1PipelineVersionReference, V2beta1Run, V2beta1RuntimeConfig

    body = V2beta1Run(
        experiment_id=experiment,
        display_name=order.name,
        description=_LABELS + json.dumps(dict(sorted(order.labels.items()))) if order.labels else None,
        pipeline_version_reference=V2beta1PipelineVersionReference(
            pipeline_id=version.pipeline_id, pipeline_version_id=version.version_id
        ),
        runtime_config=V2beta1RuntimeConfig(parameters=dict(order.parameters)),
        service_account=order.service_account or None,
    )
    connection.write(f"submit run {order.name}", connection.client._run_api.run_service_create_run, run=body)


def _experiment(connection: Connection, name: str) -> str:
    query = {"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]}
    for _ in range(3):
        found = connection.pages(
            "look for the experiment",
            connection.client.list_experiments,
            "experiments",
            filter=json.dumps(query),
            **_space(connection),
        )
        if found:
            return str(min(found, key=lambda one: (one.created_at is None, one.created_at)).experiment_id)
        from kfp_server_api import V2beta1Experiment

        body = V2beta1Experiment(display_name=name, namespace=connection.service.namespace or None)
        try:
            made = connection.write(
                f"create experiment {name}",
                connection.client._experiment_api.experiment_service_create_experiment,
                experiment=body,
            )
            return str(made.experiment_id)
        except (ConflictError, UnreachableError):  # made by somebody else, or the answer was lost: look again
            continue
    raise UnreachableError(f"experiment {name} could not be created on {connection.service.endpoint}")


def _named(connection: Connection, name: str) -> list[Run]:
    """Runs of a name, oldest first; terminated duplicates do not count."""
    query = {"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]}
    found = connection.pages(
        f"look for run {name}", connection.client.list_runs, "runs", filter=json.dumps(query), **_space(connection)
    )
    return sorted(map(_run, found), key=lambda run: (str(run.created or ""), run.run_id))


def _adopted(connection: Connection, present: list[Run], order: Order, version: Reference) -> Run:
    first, *others = present
    for other in others:
        if other.state not in ENDED:
            connection.write(
                f"terminate the second run named {order.name}", connection.client.terminate_run, other.run_id
            )
    if first.version_id != version.version_id or not same(first.parameters, order.parameters):
        raise ConflictError(
            f"run {order.name} exists ({first.state}, {first.run_id}) with another pipeline version or other "
            "parameters; choose another --name, or repeat the command that made it"
        )
    return first


def _run(one: Any) -> Run:
    text = one.description or ""
    labels = json.loads(text.removeprefix(_LABELS)) if text.startswith(_LABELS) else {}
    reference, config = one.pipeline_version_reference, one.runtime_config
    return Run(
        run_id=one.run_id,
        name=one.display_name,
        state=str(one.state or "PENDING"),
        created=one.created_at,
        finished=one.finished_at,
        version_id=(reference.pipeline_version_id if reference else one.pipeline_version_id) or "",
        labels=labels,
        parameters=dict((config.parameters if config else None) or {}),
        error=(one.error.message or "") if one.error else "",
    )


def _space(connection: Connection) -> dict[str, str]:
    return {"namespace": connection.service.namespace} if connection.service.namespace else {}

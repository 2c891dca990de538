"""Pipeline versions on the service: found by their content-derived name, uploaded once."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from flywheel.pipelines.custom_resources import Origin, resources
from flywheel.pipelines.interface import Interface, interface_of
from flywheel.pipelines.service.connection import Connection
from flywheel.pipelines.service.errors import ConflictError, MissingError, UnreachableError


@dataclass(frozen=True)
class Compiled:
    """A compiled pipeline on disk.

    Attributes:
        path: IR YAML file.
        name: Pipeline name.
        version: Name made of package version and content hash.
        interface: Its parameters.
    """

    path: Path
    name: str
    version: str
    interface: Interface

    @classmethod
    def read(cls, path: Path, package_version: str) -> "Compiled":
        """Read a compiled pipeline.

        Raises:
            ValueError: The file is missing or no compiled pipeline.
        """
        if not path.is_file():
            raise ValueError(f"there is no compiled pipeline {path}; run `flywheel compile`")
        text = path.read_text(encoding="utf-8")
        pipeline, version = resources(text, Origin(package_version))
        spec = next(yaml.safe_load_all(text))
        return cls(path, pipeline["metadata"]["name"], version["spec"]["versionName"], interface_of(spec))


@dataclass(frozen=True)
class Reference:
    """A version on the service."""

    pipeline_id: str
    version_id: str
    version: str


def find(connection: Connection, name: str, version: str) -> Reference | None:
    """Find a version; None when the pipeline or the version is not there."""
    pipeline = _pipeline(connection, name)
    return None if pipeline is None else _version(connection, pipeline, version)


def required(connection: Connection, name: str, version: str) -> Reference:
    """Find a version that must be there.

    Raises:
        MissingError: It is not; the message lists the newest that are.
    """
    found = find(connection, name, version)
    if found is not None:
        return found
    pipeline = _pipeline(connection, name)
    if pipeline is None:
        raise MissingError(
            f"there is no pipeline {name} on {connection.service.endpoint}; submit without --version uploads it"
        )
    listed = _versions(connection, pipeline)
    known = ", ".join(one.display_name for one in listed[:5]) or "none"
    raise MissingError(f"pipeline {name} has no version {version}; the newest are: {known}")


def ensure(connection: Connection, compiled: Compiled) -> Reference:
    """Reuse the version of this content, or upload it; again changes nothing.

    Args:
        connection: The service.
        compiled: What is to run.

    Returns:
        The version on the service.

    Raises:
        ServiceError: The service refuses or stays away.
    """
    client, problem = connection.client, "the service does not list what it accepted"
    for _ in range(3):  # an upload whose answer was lost shows up at the next look
        found = find(connection, compiled.name, compiled.version)
        if found is not None:
            return found
        pipeline = _pipeline(connection, compiled.name)
        try:
            if pipeline is None:
                _create(connection, compiled)
                continue
            connection.write(
                f"upload version {compiled.version}",
                client.upload_pipeline_version,
                str(compiled.path),
                compiled.version,
                pipeline_id=pipeline,
            )
        except (ConflictError, UnreachableError) as error:  # somebody else was faster, or the answer was lost: look
            problem = str(error)
    found = find(connection, compiled.name, compiled.version)
    if found is None:
        raise UnreachableError(f"version {compiled.version} of {compiled.name} could not be uploaded: {problem}")
    return found


def _create(connection: Connection, compiled: Compiled) -> None:
    """Create the pipeline without a version: an upload would name the first version after the pipeline."""
    from kfp_server_api import V2beta1Pipeline

    body = V2beta1Pipeline(
        display_name=compiled.name, name=compiled.name, namespace=connection.service.namespace or None
    )
    connection.write(
        f"create pipeline {compiled.name}",
        connection.client._pipelines_api.pipeline_service_create_pipeline,
        pipeline=body,
    )


def _pipeline(connection: Connection, name: str) -> str | None:
    query = {"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]}
    options: dict[str, Any] = {"filter": json.dumps(query)}
    if connection.service.namespace:
        options["namespace"] = connection.service.namespace
    found = connection.pages(
        f"look for pipeline {name}",
        connection.client._pipelines_api.pipeline_service_list_pipelines,
        "pipelines",
        **options,
    )
    if len(found) > 1:
        raise ConflictError(
            f"there are {len(found)} pipelines named {name} on {connection.service.endpoint}; remove all but one"
        )
    return found[0].pipeline_id if found else None


def _versions(connection: Connection, pipeline: str) -> list[Any]:
    return connection.pages(
        "list pipeline versions",
        connection.client.list_pipeline_versions,
        "pipeline_versions",
        pipeline_id=pipeline,
        sort_by="created_at desc",
    )


def _version(connection: Connection, pipeline: str, version: str) -> Reference | None:
    for one in _versions(connection, pipeline):
        if one.display_name == version:
            return Reference(pipeline, one.pipeline_version_id, version)
    return None

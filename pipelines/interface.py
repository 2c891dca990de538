"""What callers of a pipeline rely on: its parameters and outputs, and whether a change of them breaks anybody.

A removed or retyped parameter, a new one without a default and an output that went away break submitted parameter
files, recurring runs and pipelines that nest ours. Such a change needs a new major version (semver 2.0.0, item 8).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from flywheel.components.contracts.document import Document

RELEASED = Path(__file__).parent / "released"


class Parameter(Document):
    """One input of a pipeline."""

    type: str  # KFP's parameter or artifact type, for example NUMBER_INTEGER or system.Dataset
    required: bool


class Interface(Document):
    """Inputs and outputs of one pipeline."""

    inputs: dict[str, Parameter]
    outputs: dict[str, str]


class Release(Document):
    """The interfaces of all pipelines of one released version."""

    version: str
    pipelines: dict[str, Interface]


def interface_of(spec: Mapping[str, Any]) -> Interface:
    """Read the interface off a compiled pipeline.

    Args:
        spec: IR (`pipelineSpec`), as parsed from YAML.

    Returns:
        Its inputs and outputs by name.
    """
    root = spec["root"]
    ins, outs = root.get("inputDefinitions", {}), root.get("outputDefinitions", {})
    inputs = {
        name: Parameter(type=one["parameterType"], required=not one.get("isOptional", "defaultValue" in one))
        for name, one in ins.get("parameters", {}).items()
    }
    for name, one in ins.get("artifacts", {}).items():
        kind = one["artifactType"]["schemaTitle"]
        inputs[name] = Parameter(type=kind, required=not one.get("isOptional", False))
    outputs = {name: one["parameterType"] for name, one in outs.get("parameters", {}).items()}
    outputs |= {name: one["artifactType"]["schemaTitle"] for name, one in outs.get("artifacts", {}).items()}
    return Interface(inputs=dict(sorted(inputs.items())), outputs=dict(sorted(outputs.items())))


def release_of(version: str, compiled: Path) -> Release:
    """Read the interfaces of a folder of compiled pipelines.

    Args:
        version: Version they belong to.
        compiled: Folder of IR YAML files.

    Returns:
        The release.

    Raises:
        ValueError: There is no compiled pipeline in the folder.
    """
    files = sorted(compiled.glob("*.yaml"))
    if not files:
        raise ValueError(f"{compiled} holds no compiled pipelines")
    specs = [next(yaml.safe_load_all(path.read_text(encoding="utf-8"))) for path in files]
    return Release(version=version, pipelines={one["pipelineInfo"]["name"]: interface_of(one) for one in specs})


def last_release(folder: Path = RELEASED) -> Release | None:
    """Read the newest released set; None when nothing was released."""
    releases = [Release.read(path) for path in folder.glob("*.json")]
    return max(releases, key=lambda one: numbers(one.version), default=None)


def breaking_changes(before: Release, now: Release) -> list[str]:
    """List what callers of `before` would trip over in `now`.

    Args:
        before: The released interfaces.
        now: The present ones.

    Returns:
        One line for each removed pipeline, removed or retyped input, input that became required, new required input,
        and removed or retyped output.
    """
    found: list[str] = []
    for name, old in sorted(before.pipelines.items()):
        new = now.pipelines.get(name)
        if new is None:
            found.append(f"{name}: the pipeline was removed")
            continue
        for title, parameter in old.inputs.items():
            present = new.inputs.get(title)
            if present is None:
                found.append(f"{name}: parameter {title} was removed")
            elif present.type != parameter.type:
                found.append(f"{name}: parameter {title} was {parameter.type} and is {present.type}")
            elif present.required and not parameter.required:
                found.append(f"{name}: parameter {title} lost its default")
        for title in sorted(new.inputs.keys() - old.inputs.keys()):
            if new.inputs[title].required:
                found.append(f"{name}: new parameter {title} has no default")
        for title, kind in old.outputs.items():
            if new.outputs.get(title) != kind:
                found.append(f"{name}: output {title} was {kind} and is {new.outputs.get(title, 'gone')}")
    return found


def incompatible(before: Release, now: Release) -> list[str]:
    """List the breaking changes that the version does not announce by a new major number.

    Args:
        before: The last release.
        now: The present set.

    Returns:
        The breaking changes; empty when there are none or the major version rose.

    Raises:
        ValueError: The present version is older than the released one.
    """
    if numbers(now.version) < numbers(before.version):
        raise ValueError(f"version {now.version} is older than the released {before.version}")
    return [] if numbers(now.version)[0] > numbers(before.version)[0] else breaking_changes(before, now)


def numbers(version: str) -> tuple[int, int, int]:
    """Parse the release part of a version, `1.2.3` of `1.2.3rc1`.

    Raises:
        ValueError: It does not start with three numbers.
    """
    from packaging.version import InvalidVersion, Version

    try:
        parts = Version(version).release
    except InvalidVersion as error:
        raise ValueError(f"{version!r} is no version like 1.2.3") from error
    if len(parts) != 3:
        raise ValueError(f"{version!r} is no version like 1.2.3")
    return parts[0], parts[1], parts[2]

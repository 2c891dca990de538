"""Parameters of a run: from a file and `--set`, checked against the pipeline's interface before anything is sent."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from flywheel.pipelines.interface import Interface

_PYTHON: dict[str, tuple[type, ...]] = {
    "STRING": (str,),
    "NUMBER_INTEGER": (int,),
    "NUMBER_DOUBLE": (int, float),
    "BOOLEAN": (bool,),
    "LIST": (list,),
    "STRUCT": (dict,),
}


def read(file: str, pairs: Sequence[str], interface: Interface) -> dict[str, Any]:
    """Put the parameters of a run together; a pair wins over the file.

    Args:
        file: YAML or JSON mapping; empty: none.
        pairs: `KEY=VALUE`; the value is a string for string parameters, JSON or YAML otherwise.
        interface: Interface of the pipeline.

    Returns:
        The parameters by name.

    Raises:
        ValueError: The file is no mapping, a pair has no `=`, a name is unknown, a type is wrong or a required
            parameter is missing; the message names it.
    """
    given: dict[str, Any] = {}
    if file:
        try:
            content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"the parameter file {file} cannot be read: {error}") from error
        if not isinstance(content, dict):
            raise ValueError(f"the parameter file {file} must hold a mapping of names to values")
        given |= content
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign or not name:
            raise ValueError(f"--set takes KEY=VALUE, got {pair!r}")
        known = interface.inputs.get(name)
        given[name] = text if known is not None and known.type == "STRING" else yaml.safe_load(text)
    return checked(given, interface)


def checked(given: Mapping[str, Any], interface: Interface) -> dict[str, Any]:
    """Check names and types.

    Raises:
        ValueError: As `read`.
    """
    for name, value in given.items():
        known = interface.inputs.get(name)
        if known is None:
            raise ValueError(f"there is no parameter {name!r}; there are: {', '.join(sorted(interface.inputs))}")
        expected = _PYTHON.get(known.type, (object,))
        wrong_bool = isinstance(value, bool) and known.type != "BOOLEAN"
        if wrong_bool or not isinstance(value, expected):
            raise ValueError(f"parameter {name} is a {known.type}, got {json.dumps(value, default=str)}")
    lacking = [name for name, one in interface.inputs.items() if one.required and name not in given]
    if lacking:
        raise ValueError(f"required parameters are missing: {', '.join(lacking)}; give them with --set or --params")
    return dict(given)


def same(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Compare parameters as the service keeps them: numbers by value (7 and 7.0 are one number), the rest exactly."""
    return json.loads(json.dumps(one or {}), parse_int=float) == json.loads(json.dumps(other or {}), parse_int=float)

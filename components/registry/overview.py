"""What `flywheel registry list|show|rollback` print, as plain data."""

from typing import Any

from flywheel.components.registry import rollback
from flywheel.components.registry.errors import NotRegisteredError
from flywheel.components.registry.open import open_registry
from flywheel.components.registry.records import Alias
from flywheel.components.registry.registry import Registry


def list_versions(uri: str, name: str | None = None) -> list[dict[str, Any]]:
    """Return all versions with the aliases that point to them.

    Args:
        uri: Registry URI or path.
        name: Model name; None: all models.

    Returns:
        One dictionary per version (the fields of `ModelVersion` as JSON values, and `aliases`), oldest first.

    Raises:
        RegistryError: The registry cannot be read.
    """
    registry = open_registry(uri, create=False)
    versions = registry.list_versions(name)
    pointers = {found: aliases(registry, found) for found in {version.name for version in versions}}
    return [
        {
            **version.model_dump(mode="json"),
            "aliases": sorted(alias for alias, number in pointers[version.name].items() if number == version.version),
        }
        for version in versions
    ]


def show(uri: str, name: str) -> dict[str, Any]:
    """Return one model: its aliases, versions and whole audit trail.

    Args:
        uri: Registry URI or path.
        name: Model name.

    Returns:
        `{"name", "aliases": {alias: version}, "versions": [...], "history": [...]}` of JSON values.

    Raises:
        NotRegisteredError: There is no such model.
        RegistryError: The registry cannot be read.
    """
    versions = list_versions(uri, name)
    if not versions:
        known = sorted({version.name for version in open_registry(uri, create=False).list_versions()})
        raise NotRegisteredError(f"no model {name!r} in {uri}; there are: {', '.join(known) or 'none'}")
    registry = open_registry(uri, create=False)
    return {
        "name": name,
        "aliases": aliases(registry, name),
        "versions": versions,
        "history": [event.model_dump(mode="json") for event in registry.history(name)],
    }


def roll_back(uri: str, name: str, who: str, reason: str, version: int | None = None) -> dict[str, Any]:
    """Roll production back and return what is production now.

    Args:
        uri: Registry URI or path.
        name: Model name.
        who: Who asked.
        reason: Why, in words.
        version: Version to go back to; None: the previous production.

    Returns:
        The version as in `list_versions`.

    Raises:
        RegistryError: As `rollback.roll_back`.
    """
    chosen = rollback.roll_back(open_registry(uri, create=False), name, who, reason, version)
    return next(row for row in list_versions(uri, name) if row["version"] == chosen.version)


def aliases(registry: Registry, name: str) -> dict[str, int]:
    """Return where the aliases of a model point, those that are set."""
    found = {str(alias): registry.get_alias(name, alias) for alias in Alias}
    return {alias: number for alias, number in found.items() if number is not None}

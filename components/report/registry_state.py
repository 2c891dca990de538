"""What the registry says about the model, read only; a registry that is not there is no error for a report."""

from typing import Any


def read(registry: str, model_name: str) -> dict[str, Any]:
    """Read versions and aliases of a model.

    Args:
        registry: Registry URI; "" for none.
        model_name: Name of the model.

    Returns:
        aliases, versions (oldest first) and history as `registry.overview.show` returns them, and `note`: why there
        is nothing, "" when there is.
    """
    from flywheel.components.registry import overview
    from flywheel.components.registry.errors import RegistryError

    empty: dict[str, Any] = {"aliases": {}, "versions": [], "history": []}
    if not registry:
        return {**empty, "note": "no registry was given"}
    try:
        return {**overview.show(registry, model_name), "note": ""}
    except RegistryError as error:
        return {**empty, "note": str(error)}

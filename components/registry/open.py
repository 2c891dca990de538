"""Choose the registry adapter from a URI."""

from pathlib import Path

from flywheel.components.registry.errors import NotRegisteredError, RegistryError
from flywheel.components.registry.registry import Registry

_LATER = ("mlflow", "kubeflow", "http", "https")


def open_registry(uri: str, create: bool = True) -> Registry:
    """Open a registry.

    Args:
        uri: `sqlite:////absolute/path.db`, `sqlite:///relative/path.db`, or a path.
        create: Whether a missing SQLite file is created; False for commands that only read.

    Returns:
        The registry.

    Raises:
        RegistryError: The URI is empty or names a kind of registry that this version cannot open.
        NotRegisteredError: The file does not exist and `create` is False.
    """
    from flywheel.components.registry.sqlite_registry import SqliteRegistry

    path = sqlite_path(uri)
    if not create and not path.is_file():
        raise NotRegisteredError(f"no registry at {path}: run the pipeline once, or give --registry the right place")
    return SqliteRegistry(path)


def sqlite_path(uri: str) -> Path:
    """Return the file that a registry URI names.

    Raises:
        RegistryError: The URI is empty, names another kind of registry, or names a folder.
    """
    if not uri.strip():
        raise RegistryError("the registry is empty: give a path or a URI such as sqlite:////data/registry.db")
    scheme, separator, rest = uri.partition("://")
    kind = scheme.split("+")[0].lower() if separator else ""
    if kind in _LATER:
        raise RegistryError(
            f"registry {uri!r}: MLflow and Kubeflow Model Registry are not supported yet; use sqlite:///PATH"
        )
    if kind == "sqlite":
        path = Path(rest.removeprefix("/"))
    elif not separator:
        path = Path(uri)
    else:
        raise RegistryError(f"registry {uri!r}: unknown scheme {scheme!r}; use sqlite:///PATH or a path")
    if path.is_dir() or not path.name:
        raise RegistryError(f"registry {uri!r} names a folder; name a file in it, for example {path / 'registry.db'}")
    return path

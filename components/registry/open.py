"""Choose the registry adapter from a URI."""

from pathlib import Path

from flywheel.components.registry.errors import NotRegisteredError, RegistryError
from flywheel.components.registry.registry import Registry


def open_registry(uri: str, create: bool = True) -> Registry:
    """Open a registry.

    Args:
        uri: `sqlite:////absolute/path.db`, `sqlite:///relative/path.db` or a path: one file on this machine.
            `mlflow+http://host:5000` or `mlflow+https://host`: an MLflow server.
            `kubeflow+http://host:8080` or `kubeflow+https://host`: a Kubeflow Model Registry.
        create: Whether a missing SQLite file is created; False for commands that only read.

    Returns:
        The registry.

    Raises:
        RegistryError: The URI is empty, names a kind of registry that there is no adapter for, or the server is away.
        NotRegisteredError: The file does not exist and `create` is False.
    """
    kind, _, address = uri.partition("+")
    if kind in ("mlflow", "kubeflow"):
        return _on_server(kind, address, uri)
    from flywheel.components.registry.sqlite_registry import SqliteRegistry

    path = sqlite_path(uri)
    if not create and not path.is_file():
        raise NotRegisteredError(f"no registry at {path}: run the pipeline once, or give --registry the right place")
    return SqliteRegistry(path)


def _on_server(kind: str, address: str, uri: str) -> Registry:
    from flywheel.components.registry.log_registry import LogRegistry

    if not address.startswith(("http://", "https://")):
        raise RegistryError(f"registry {uri!r}: write {kind}+http://HOST:PORT or {kind}+https://HOST")
    if kind == "mlflow":
        from flywheel.components.registry.mlflow_store import MlflowStore

        return LogRegistry(MlflowStore(address))
    from flywheel.components.registry.model_registry_store import ModelRegistryStore

    return LogRegistry(ModelRegistryStore(address))


def sqlite_path(uri: str) -> Path:
    """Return the file that a registry URI names.

    Raises:
        RegistryError: The URI is empty, names another kind of registry, or names a folder.
    """
    if not uri.strip():
        raise RegistryError("the registry is empty: give a path or a URI such as sqlite:////data/registry.db")
    scheme, separator, rest = uri.partition("://")
    kind = scheme.split("+")[0].lower() if separator else ""
    if kind in ("mlflow", "kubeflow", "http", "https"):
        raise RegistryError(
            f"registry {uri!r}: say which kind of server it is: mlflow+http://HOST:PORT or kubeflow+http://HOST:PORT"
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

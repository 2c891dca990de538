"""Store, registry and endpoints: can this process really use them? Asked by using them, not by looking at names."""

import os
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence

from flywheel.components.preflight.findings import Finding

_PROBE = "preflight"


def store(uri: str) -> Finding:
    """Write a row into the store and read it again (table `preflight`, one row, overwritten each time).

    Args:
        uri: URI of the feedback store.

    Returns:
        The finding.
    """
    import pyarrow as pa
    from deltalake import DeltaTable, write_deltalake
    from deltalake.exceptions import DeltaError

    from flywheel.components.store.errors import StoreError
    from flywheel.components.store.location import local_folder, storage_options

    remedy = (
        "check the URI, the bucket's policy and FLYWHEEL_STORAGE_OPTIONS"
        if "://" in uri
        else "give a folder that this step can write to"
    )
    try:
        folder = local_folder(uri)
        place = str(folder / _PROBE) if folder is not None else f"{uri.rstrip('/')}/{_PROBE}"
        options = storage_options() if folder is None else None
        if folder is not None:
            (folder / _PROBE).mkdir(parents=True, exist_ok=True)
        row = pa.table({"process": [os.getpid()]})
        write_deltalake(place, row, mode="overwrite", storage_options=options)
        read = DeltaTable(place, storage_options=options).to_pyarrow_table().num_rows
    except (DeltaError, StoreError, OSError, ValueError) as error:
        return Finding(f"store {uri}", "missing", f"cannot be written: {_short(error)}", remedy)
    return Finding(f"store {uri}", "ready", f"wrote and read {read} row")


def registry(uri: str) -> Finding:
    """Open the registry and list its versions.

    Args:
        uri: Registry URI.

    Returns:
        The finding.
    """
    from flywheel.components.registry.errors import RegistryError
    from flywheel.components.registry.open import open_registry

    try:
        versions = open_registry(uri).list_versions()
    except (RegistryError, OSError, ValueError) as error:
        return Finding(f"registry {uri}", "missing", _short(error), "check the URI, the network and the credentials")
    return Finding(f"registry {uri}", "ready", f"{len(versions)} versions")


def endpoint(name: str, url: str, path: str = "", seconds: float = 10.0) -> Finding:
    """Ask an HTTP endpoint; any answer below 500 shows that it is there and that the network lets us through.

    Args:
        name: What it is, for example `Prometheus`.
        url: Its address.
        path: Path that answers a GET.
        seconds: Longest wait.

    Returns:
        The finding.
    """
    address = url.rstrip("/") + path
    what = f"{name} {url}"
    if not url.startswith(("http://", "https://")):
        return Finding(what, "missing", "no http address", "write it as http://host:port")
    try:
        with urllib.request.urlopen(address, timeout=seconds) as answer:
            return Finding(what, "ready", f"answers {answer.status}")
    except urllib.error.HTTPError as error:
        if error.code < 500:
            return Finding(what, "ready", f"answers {error.code}")
        return Finding(what, "missing", f"answers {error.code}", "look at its log")
    except (urllib.error.URLError, OSError, ValueError) as error:
        return Finding(what, "missing", _short(error), "check the address and the NetworkPolicy of this namespace")


def variables(wanted: Mapping[str, str] | Sequence[str]) -> list[Finding]:
    """Look whether secrets have reached this process as environment variables; their values are never shown.

    Args:
        wanted: Variable -> where it should come from; or names alone.

    Returns:
        One finding each.
    """
    names = dict(wanted) if isinstance(wanted, Mapping) else dict.fromkeys(wanted, "")
    found = []
    for name, origin in names.items():
        if os.environ.get(name, "").strip():
            found.append(Finding(f"secret {name}", "ready", "is set"))
        else:
            remedy = f"mount {origin}" if origin else "set it"
            found.append(Finding(f"secret {name}", "missing", "is not set or empty", remedy))
    return found


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__

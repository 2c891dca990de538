"""Where a table lives, and with which options its object store is opened."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

import orjson

from flywheel.components.contracts.tables import TableName
from flywheel.components.store.errors import StoreError

OPTIONS_VARIABLE = "FLYWHEEL_STORAGE_OPTIONS"


def local_folder(store: str) -> Path | None:
    """Return the store's folder when it is on this machine (a path or file:// URI), otherwise None.

    Raises:
        StoreError: The store is empty.
    """
    if not store.strip():
        raise StoreError("no feedback store given; pass a folder or an s3://, gs:// or abfs:// URI as `store`")
    if store.startswith("file://"):
        return Path(unquote(urlsplit(store).path))
    return None if "://" in store else Path(store)


def table_uri(store: str, table: TableName) -> str:
    """Return the location of a table below the store."""
    folder = local_folder(store)
    return str(folder / table) if folder is not None else f"{store.rstrip('/')}/{table}"


def storage_options() -> dict[str, str] | None:
    """Read the options for the object store from the environment.

    Credentials in the object store's own variables (AWS_*, GOOGLE_*, AZURE_*) are found by deltalake itself;
    FLYWHEEL_STORAGE_OPTIONS, a JSON object of strings, adds what they cannot say (endpoints, path style).

    Raises:
        StoreError: The variable is not a JSON object of strings.
    """
    text = os.environ.get(OPTIONS_VARIABLE, "")
    if not text:
        return None
    try:
        options = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise StoreError(f"{OPTIONS_VARIABLE} is not JSON ({error}); give an object of strings") from error
    if not isinstance(options, dict) or not all(isinstance(value, str) for value in options.values()):
        raise StoreError(
            f'{OPTIONS_VARIABLE} must be a JSON object of strings, as {{"AWS_ENDPOINT_URL": "http://..."}}'
        )
    return options

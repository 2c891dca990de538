"""Streams on an MLflow server: a registered model is a stream, a model version an entry, its tag holds the text.

Aliases are MLflow's own, so `models:/assistant@production` works for everybody else. Credentials are MLflow's usual
variables (MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD).
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from flywheel.components.registry.errors import RegistryError
from flywheel.components.registry.log_store import Entry, Shown

_TEXT = "flywheel.entry"
_PROJECTED = "flywheel.projected"
_PAGE = 200
_MISSING = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")
_EXISTS = ("RESOURCE_ALREADY_EXISTS",)
_NO_MODEL = "flywheel://entry/no-model"
"""Source of an entry that is no model; MLflow wants an absolute one that is no path on its own disk."""


class MlflowStore:
    """An MLflow model registry; see `LogStore`.

    Args:
        address: Tracking server, `http://host:5000`.

    Raises:
        RegistryError: The MLflow client is not installed.
    """

    def __init__(self, address: str) -> None:
        try:
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise RegistryError(
                "a registry on MLflow needs its client: pip install 'feedback-flywheel[control]'"
            ) from error
        self.address = address
        self._client: Any = MlflowClient(tracking_uri=address, registry_uri=address)

    def append(self, stream: str, text: str, uri: str = "") -> int:
        """Add a model version; see `LogStore.append`."""
        source = uri if "://" in uri else f"flywheel://folder/{quote(uri.lstrip('/'))}" if uri else _NO_MODEL
        create = partial(self._client.create_model_version, stream, source, tags={_TEXT: text}, await_creation_for=0)
        made = self._asked(f"add to {stream}", create, _MISSING)
        if made is None:
            self._asked(f"create {stream}", partial(self._client.create_registered_model, stream), _EXISTS)
            made = self._asked(f"add to {stream}", create)
        return int(made.version)

    def read(self, stream: str) -> list[Entry]:
        """Read all versions of a model; see `LogStore.read`."""
        quoted = stream.replace("'", "\\'")
        search = partial(self._client.search_model_versions, f"name='{quoted}'")
        found = [Entry(int(one.version), one.tags.get(_TEXT, "")) for one in self._pages(f"read {stream}", search)]
        return sorted(found, key=lambda entry: entry.number)

    def replace(self, stream: str, number: int, text: str) -> None:
        """Set the text of a version; see `LogStore.replace`."""
        change = partial(self._client.set_model_version_tag, stream, str(number), _TEXT, text)
        self._asked(f"change {stream} {number}", change)

    def streams(self) -> list[str]:
        """List the registered models; see `LogStore.streams`."""
        return [one.name for one in self._pages("list the models", self._client.search_registered_models)]

    def shown(self, stream: str) -> Shown:
        """Return a model's aliases; see `LogStore.shown`."""
        model = self._asked(f"look at {stream}", partial(self._client.get_registered_model, stream), _MISSING)
        if model is None:
            return Shown({}, 0)
        return Shown({name: int(number) for name, number in model.aliases.items()}, int(model.tags.get(_PROJECTED, 0)))

    def show(self, stream: str, aliases: Mapping[str, int], projected: int) -> None:
        """Set a model's aliases; see `LogStore.show`."""
        from flywheel.components.registry.records import Alias

        present = self.shown(stream).aliases
        for alias in map(str, Alias):
            number = aliases.get(alias)
            if number == present.get(alias):
                continue
            if number is None:
                clear = partial(self._client.delete_registered_model_alias, stream, alias)
                self._asked(f"clear {stream}@{alias}", clear, _MISSING)
            else:
                point = partial(self._client.set_registered_model_alias, stream, alias, str(number))
                self._asked(f"set {stream}@{alias}", point)
        note = partial(self._client.set_registered_model_tag, stream, _PROJECTED, str(projected))
        self._asked(f"note the aliases of {stream}", note)

    def _pages(self, what: str, search: Callable[..., Any]) -> list[Any]:
        found: list[Any] = []
        token = None
        while True:
            page = self._asked(what, partial(search, max_results=_PAGE, page_token=token))
            found += page
            token = page.token
            if not token:
                return found

    def _asked(self, what: str, function: Callable[[], Any], fine: tuple[str, ...] = ()) -> Any:
        """Call MLflow; an error whose code is `fine` gives None."""
        from mlflow.exceptions import MlflowException

        try:
            return function()
        except MlflowException as error:
            if error.error_code in fine:
                return None
            raise RegistryError(
                f"MLflow at {self.address} could not {what}: {' '.join(str(error).split())[:400]}; check the address, "
                "the network and the credentials (MLFLOW_TRACKING_TOKEN)"
            ) from error

"""Streams on a Kubeflow Model Registry (REST v1alpha3): a RegisteredModel is a stream, a ModelVersion an entry.

The server knows no aliases: they are custom properties `flywheel.alias.production` and so on of the RegisteredModel. A
version's name is its number; the server refuses a second one of the same name, which makes an append atomic.
"""

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

from flywheel.components.registry.errors import RegistryError
from flywheel.components.registry.log_store import Entry, Shown

ROOT = "/api/model_registry/v1alpha3"
TOKEN = "FLYWHEEL_MODEL_REGISTRY_TOKEN"

_TEXT = "flywheel.entry"
_PROJECTED = "flywheel.projected"
_ALIAS = "flywheel.alias."
_PAGE = 100
_TRIES = 5
_PAUSE_S = 0.2
_APPENDS = 50  # writers that may be faster than us before we give up


class _RefusedError(Exception):
    """An answer of 400 and above that is not worth another try."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class ModelRegistryStore:
    """A Kubeflow Model Registry; see `LogStore`.

    Args:
        address: Address of the server, `https://host`; the token, if any, is read from FLYWHEEL_MODEL_REGISTRY_TOKEN.
        seconds: Longest wait for an answer.
    """

    def __init__(self, address: str, seconds: float = 20.0) -> None:
        self.address = address.rstrip("/")
        self._seconds = seconds
        self._ids: dict[str, str] = {}

    def append(self, stream: str, text: str, uri: str = "") -> int:
        """Add a model version; see `LogStore.append`."""
        identity = self._id(stream, create=True)
        number = max((entry.number for entry in self.read(stream)), default=0)
        properties = {_TEXT: _string(text), **({"uri": _string(uri)} if uri else {})}
        for _ in range(_APPENDS):
            number += 1
            body = {"name": str(number), "registeredModelId": identity, "customProperties": properties}
            try:
                self._send("POST", f"/registered_models/{identity}/versions", body)
            except _RefusedError as error:
                if error.status == 409 or "already exist" in str(error).lower():
                    continue  # somebody took this number, or our own answer was lost: readers ignore a repeated entry
                raise self._told(f"add to {stream}", error) from error
            return number
        raise RegistryError(f"{self.address}: {_APPENDS} other writers were faster at {stream}; try again")

    def read(self, stream: str) -> list[Entry]:
        """Read all versions of a model; see `LogStore.read`."""
        identity = self._id(stream)
        if identity is None:
            return []
        found = []
        for one in self._pages(f"/registered_models/{identity}/versions", f"read {stream}"):
            if one["name"].isdecimal():  # other versions are somebody else's
                found.append(Entry(int(one["name"]), _read(one, _TEXT)))
        return sorted(found, key=lambda entry: entry.number)

    def replace(self, stream: str, number: int, text: str) -> None:
        """Set the text of a version; see `LogStore.replace`."""
        identity = self._id(stream)
        query = urllib.parse.urlencode({"name": str(number), "parentResourceId": identity})
        try:
            found = self._send("GET", f"/model_version?{query}")
            properties = {**found.get("customProperties", {}), _TEXT: _string(text)}
            self._send("PATCH", f"/model_versions/{found['id']}", {"customProperties": properties})
        except _RefusedError as error:
            raise self._told(f"change {stream} {number}", error) from error

    def streams(self) -> list[str]:
        """List the registered models; see `LogStore.streams`."""
        return [one["name"] for one in self._pages("/registered_models", "list the models")]

    def shown(self, stream: str) -> Shown:
        """Return a model's aliases; see `LogStore.shown`."""
        model = self._model(stream)
        if model is None:
            return Shown({}, 0)
        properties = model.get("customProperties", {})
        aliases = {
            name.removeprefix(_ALIAS): int(_read(model, name))
            for name in properties
            if name.startswith(_ALIAS) and _read(model, name).isdecimal()
        }
        return Shown(aliases, int(_read(model, _PROJECTED) or 0))

    def show(self, stream: str, aliases: Mapping[str, int], projected: int) -> None:
        """Set a model's aliases; see `LogStore.show`."""
        from flywheel.components.registry.records import Alias

        model = self._model(stream)
        if model is None:
            return
        properties = dict(model.get("customProperties", {}))
        # A property cannot be removed by a patch of every server version, so a cleared alias is an empty one.
        for alias in map(str, Alias):
            if alias in aliases or _ALIAS + alias in properties:
                properties[_ALIAS + alias] = _string(str(aliases.get(alias, "")))
        properties[_PROJECTED] = _string(str(projected))
        try:
            self._send("PATCH", f"/registered_models/{model['id']}", {"customProperties": properties})
        except _RefusedError as error:
            raise self._told(f"show the aliases of {stream}", error) from error

    def _id(self, stream: str, create: bool = False) -> str | None:
        if stream not in self._ids:
            model = self._model(stream)
            if model is None and create:
                try:
                    model = self._send("POST", "/registered_models", {"name": stream})
                except _RefusedError as error:
                    model = self._model(stream)  # made by somebody else in between
                    if model is None:
                        raise self._told(f"create {stream}", error) from error
            if model is None:
                return None
            self._ids[stream] = model["id"]
        return self._ids[stream]

    def _model(self, stream: str) -> dict[str, Any] | None:
        try:
            return self._send("GET", f"/registered_model?{urllib.parse.urlencode({'name': stream})}")
        except _RefusedError as error:
            if error.status == 404:
                return None
            raise self._told(f"look at {stream}", error) from error

    def _pages(self, path: str, what: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            query = {"pageSize": str(_PAGE), **({"nextPageToken": token} if token else {})}
            try:
                page = self._send("GET", f"{path}?{urllib.parse.urlencode(query)}")
            except _RefusedError as error:
                raise self._told(what, error) from error
            found += page.get("items", [])
            token = page.get("nextPageToken", "")
            if not token:
                return found

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a request; again while the server is away, which no request of ours minds (see the class's text)."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token := os.environ.get(TOKEN, "").strip():
            headers["Authorization"] = f"Bearer {token}"
        trouble = ""
        for number in range(_TRIES):
            if number:
                time.sleep(_PAUSE_S * 2 ** (number - 1))
            request = urllib.request.Request(self.address + ROOT + path, data, headers, method=method)
            try:
                with urllib.request.urlopen(request, timeout=self._seconds) as answer:
                    return dict(json.load(answer))
            except urllib.error.HTTPError as error:
                words = error.read().decode(errors="replace")[:400]
                if error.code < 500 and error.code != 429:
                    raise _RefusedError(error.code, words) from error
                trouble = f"{error.code} {words}"
            except (urllib.error.URLError, OSError, ValueError) as error:
                trouble = str(error)
        raise RegistryError(f"no Model Registry at {self.address} ({trouble}); check the address and the network")

    def _told(self, what: str, error: _RefusedError) -> RegistryError:
        hint = f"; give a valid token in {TOKEN}" if error.status in (401, 403) else ""
        return RegistryError(f"the Model Registry at {self.address} could not {what}: {error.status} {error}{hint}")


def _string(text: str) -> dict[str, str]:
    return {"metadataType": "MetadataStringValue", "string_value": text}


def _read(resource: Mapping[str, Any], name: str) -> str:
    return str(resource.get("customProperties", {}).get(name, {}).get("string_value", ""))

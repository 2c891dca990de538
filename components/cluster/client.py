"""A client of the Kubernetes API server: plain objects in and out, every request retried within bounds.

Authentication and TLS are the official client's; requests are our own, because its generated methods neither retry nor
give back what a refusal says, and every kind here is handled alike.
"""

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

from flywheel.components.cluster.errors import (
    ConflictError,
    NotAuthenticatedError,
    NotFoundError,
    UnavailableError,
    error_of,
)
from flywheel.components.cluster.patience import Patience
from flywheel.components.cluster.resources import Resource
from flywheel.components.cluster.strictness import refuse_dropped_fields

Body = dict[str, Any]
JsonPatch = list[Body]
_PATCHES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}
_TIMEOUT = 30.0  # seconds for one answer
_LONGEST_PAUSE = 60.0  # seconds, whatever a Retry-After says


class Cluster:
    """The API server, seen from one namespace.

    Every method raises the errors of `flywheel.components.cluster.errors`. 429, 5xx and lost connections are tried
    again until `patience` ends; an expired token is read again; nothing else is repeated. A create whose answer was
    lost is repeated too, and then says `AlreadyExistsError`: names must be deterministic, and callers compare.
    """

    def __init__(self, open_client: Callable[[], Any], namespace: str, patience: Patience | None = None):
        """Connect lazily; `connection.connect` finds the cluster.

        Args:
            open_client: Makes a `kubernetes.client.ApiClient` with freshly read credentials.
            namespace: For requests that name none.
            patience: How long requests are tried again.
        """
        self._open, self.namespace, self.patience = open_client, namespace, patience or Patience()
        self._client: Any = None
        self._server_time: tuple[datetime, float] | None = None

    def with_patience(self, patience: Patience) -> "Cluster":
        """The same cluster with another patience."""
        return Cluster(self._open, self.namespace, patience)

    def get(self, resource: Resource, name: str, namespace: str = "") -> Body:
        """Read one object."""
        return self._json("get", "GET", resource, name, namespace)

    def find(self, resource: Resource, name: str, namespace: str = "") -> Body | None:
        """Read one object; None when it does not exist."""
        try:
            return self.get(resource, name, namespace)
        except NotFoundError:
            return None

    def list(self, resource: Resource, namespace: str = "", labels: str = "", fields: str = "") -> Body:
        """List objects: the whole list object, with `items` and `metadata.resourceVersion`."""
        query = {"labelSelector": labels, "fieldSelector": fields}
        return self._json("list", "GET", resource, "", namespace, query)

    def create(self, resource: Resource, body: Body, namespace: str = "") -> Body:
        """Create an object; unknown fields are refused, also by servers that only drop them (see `check`)."""
        return self._json("create", "POST", resource, "", namespace, {"fieldValidation": "Strict"}, body)

    def check(self, resource: Resource, body: Body, namespace: str = "") -> None:
        """Let the server validate an object that is about to be created, changing nothing.

        Raises:
            RejectedError: The schema or an admission refuses it, or the served version does not know one of its fields
                (a CRD older than we need drops them silently).
        """
        query = {"fieldValidation": "Strict", "dryRun": "All"}
        stored = self._json("create", "POST", resource, "", namespace, query, body)
        refuse_dropped_fields(body, stored, resource)

    def apply(
        self,
        resource: Resource,
        body: Body,
        manager: str,
        namespace: str = "",
        force: bool = False,
        dry_run: bool = False,
    ) -> Body:
        """Server-side apply: own exactly the fields in `body`.

        Raises:
            ConflictError: Another manager owns a field and `force` is off.
        """
        query = {"fieldManager": manager, "force": str(force).lower(), "fieldValidation": "Strict"}
        query |= {"dryRun": "All"} if dry_run else {}
        whole = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        return self._json("patch", "PATCH", resource, body["metadata"]["name"], namespace, query, whole, patch="apply")

    def patch(
        self,
        resource: Resource,
        name: str,
        body: Body | JsonPatch,
        namespace: str = "",
        subresource: str = "",
        manager: str = "",
        dry_run: bool = False,
    ) -> Body:
        """Patch an object: a mapping is a merge patch (None clears a field), a list a JSON patch (RFC 6902).

        Put `metadata.resourceVersion` into a merge patch to make it compare-and-set: `ConflictError` if it moved.
        """
        query = {"fieldManager": manager, "fieldValidation": "Strict", "dryRun": "All" if dry_run else ""}
        kind = "json" if isinstance(body, list) else "merge"
        return self._json("patch", "PATCH", resource, name, namespace, query, body, subresource, kind)

    def replace(self, resource: Resource, body: Body, namespace: str = "") -> Body:
        """Replace a whole object; its `metadata.resourceVersion` makes it compare-and-set."""
        query = {"fieldValidation": "Strict"}
        return self._json("update", "PUT", resource, body["metadata"]["name"], namespace, query, body)

    def update(
        self, resource: Resource, name: str, change: Callable[[Body], Body | None], namespace: str = "", tries: int = 8
    ) -> Body:
        """Read, change and replace; again from the start when somebody else was faster.

        Args:
            resource: Kind.
            name: Object.
            change: Gets the object as stored, returns the changed one, or None to leave it. May be called often.
            namespace: "": the connection's.
            tries: Most rounds.

        Raises:
            ConflictError: In every round somebody else was faster.
        """
        for left, pause in zip(range(tries - 1, -1, -1), self.patience.pauses(), strict=False):
            seen = self.get(resource, name, namespace)
            wanted = change(seen)
            if wanted is None:
                return seen
            try:
                return self.replace(resource, wanted, namespace)
            except ConflictError:
                if not left:
                    raise
                time.sleep(pause)
        raise ValueError("tries must be at least 1")

    def delete(
        self, resource: Resource, name: str, namespace: str = "", uid: str = "", propagation: str = "Foreground"
    ) -> bool:
        """Delete an object; False when it is not there (any more).

        Args:
            resource: Kind.
            name: Object.
            namespace: "": the connection's.
            uid: Only the object with this uid; one of the same name made since is left alone.
            propagation: "Foreground" (children first), "Background" or "Orphan".
        """
        options: Body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            self._json("delete", "DELETE", resource, name, namespace, None, options)
        except NotFoundError:
            return False
        except ConflictError:
            if uid and ((found := self.find(resource, name, namespace)) is None or found["metadata"]["uid"] != uid):
                return False
            raise
        return True

    def text(
        self, resource: Resource, name: str, subresource: str, query: Mapping[str, str], namespace: str = ""
    ) -> str:
        """Read a text subresource such as a pod's log."""
        path = resource.path(namespace or self.namespace, name, subresource)
        answer = self._send("get", "GET", resource, path, f"{name}/{subresource}", dict(query), None, "")
        return answer.decode(errors="replace")

    def ask(self, resource: Resource, body: Body) -> Body:
        """Post a question that is no object of a namespace (access reviews)."""
        answer = self._send("create", "POST", resource, resource.path(""), "", {}, body, "")
        return json.loads(answer)

    def read(self, path: str) -> Body:
        """Read a path of the server that is no object, such as `/apis`.

        Raises:
            KindMissingError: The server has no such path.
        """
        return json.loads(self._send("get", "GET", Resource("", "", path, path), path, "", {}, None, ""))

    def now(self) -> datetime:
        """Tell the API server's time, to compare its time stamps with: this machine's clock may be wrong.

        Returns:
            UTC, to about a second; from the `Date` of its last answer and the time that has passed since.
        """
        if self._server_time is None:
            self.read("/version")
        if self._server_time is None:
            raise UnavailableError("the API server's answers carry no Date")
        told, at = self._server_time
        return told + timedelta(seconds=time.monotonic() - at)

    def open_stream(self, resource: Resource, namespace: str, query: dict[str, str], read_timeout: float) -> Any:
        """Start one watch request; the caller reads and closes it. Tried again like any other until it is answered."""
        path = resource.path(namespace or self.namespace)
        return self._send("watch", "GET", resource, path, "", query, None, "", read_timeout, stream=True)

    def _json(
        self,
        verb: str,
        method: str,
        resource: Resource,
        name: str,
        namespace: str,
        query: dict[str, str] | None = None,
        body: Any = None,
        subresource: str = "",
        patch: str = "",
    ) -> Body:
        space = namespace or self.namespace
        where = f"{name + ' ' if name else ''}in namespace {space}"
        path = resource.path(space, name, subresource)
        return json.loads(self._send(verb, method, resource, path, where, query or {}, body, patch))

    def _send(
        self,
        verb: str,
        method: str,
        resource: Resource,
        path: str,
        where: str,
        query: dict[str, str],
        body: Any,
        patch: str,
        read_timeout: float = _TIMEOUT,
        stream: bool = False,
    ) -> Any:
        """Ask until there is an answer that more asking would not change."""
        import urllib3

        deadline = time.monotonic() + self.patience.seconds
        url = path + "?" + urlencode({key: value for key, value in query.items() if value})
        renewed = 0
        for tried, pause in enumerate(self.patience.pauses()):
            try:
                answer = self._once(method, url, body, patch, read_timeout)
                content = b"" if stream and answer.status < 400 else _whole(answer)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                failure: Exception = UnavailableError(f"cannot {verb} {resource.plural} {where}: {_words(error)}")
                wait = pause
            else:
                self._note_time(answer.headers)
                if answer.status < 400:
                    return answer if stream else content
                failure = error_of(answer.status, content, verb, resource, where)
                wait = _retry_after(answer.headers, pause)
                if isinstance(failure, NotAuthenticatedError) and renewed < 3:
                    self._client, renewed = None, renewed + 1  # read the credentials again
                elif not isinstance(failure, UnavailableError):
                    raise failure
            if tried and time.monotonic() + wait > deadline:
                raise failure
            time.sleep(wait)
        raise AssertionError("pauses never end")

    def _once(self, method: str, url: str, body: Any, patch: str, read_timeout: float) -> Any:
        import urllib3

        if self._client is None:
            self._client = self._open()
        headers = {"Accept": "application/json", "User-Agent": "feedback-flywheel"}
        self._client.update_params_for_auth(headers, [], ["BearerToken"])
        content = None
        if body is not None:
            headers["Content-Type"] = _PATCHES.get(patch, "application/json")
            content = json.dumps(body).encode()
        return self._client.rest_client.pool_manager.request(
            method,
            self._client.configuration.host + url,
            body=content,
            headers=headers,
            preload_content=False,
            retries=False,
            redirect=False,
            timeout=urllib3.Timeout(connect=10.0, read=read_timeout),
        )

    def _note_time(self, headers: Mapping[str, str]) -> None:
        if date := headers.get("Date"):
            self._server_time = (parsedate_to_datetime(date).astimezone(UTC), time.monotonic())


def _whole(answer: Any) -> bytes:
    try:
        return answer.read()
    finally:
        answer.release_conn()


def _retry_after(headers: Mapping[str, str], pause: float) -> float:
    told = headers.get("Retry-After", "")
    return max(pause, min(float(told), _LONGEST_PAUSE)) if told.isdigit() else pause


def _words(error: Exception) -> str:
    cause = getattr(error, "reason", None) or error
    return f"no answer from the API server ({type(cause).__name__}: {str(cause)[:200]})"

"""What a Kubernetes API server can refuse, as errors that say what is wrong, where, and what to do.

A status alone is not enough: 403 is a missing right or a full quota, 404 a missing object or a missing kind, 409 a name
that is taken or a change that somebody else made first. The server's `Status` body tells them apart.
"""

import json
import re
from typing import Any

from flywheel.components.cluster.resources import Resource

_RBAC = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\w+) resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)")?'
)
_ACCOUNT = re.compile(r"system:serviceaccount:([^:]+):(.+)")


class ClusterError(RuntimeError):
    """The cluster did not do what was asked; `retryable` says whether the same request can succeed later."""

    reason = "CLUSTER_ERROR"
    retryable = False

    def __init__(self, message: str, status: int = 0):
        super().__init__(message)
        self.status = status


class NoClusterError(ClusterError):
    """There is nothing to connect to."""

    reason = "NO_CLUSTER"


class NotAuthenticatedError(ClusterError):
    """The token is not (or no longer) accepted, also after it was read again."""

    reason = "NOT_AUTHENTICATED"


class AccessDeniedError(ClusterError):
    """RBAC does not allow the verb; the message names account, verb and resource."""

    reason = "ACCESS_DENIED"


class RejectedError(ClusterError):
    """The server read the request and refused it: schema, admission or quota."""

    reason = "REJECTED"


class QuotaExceededError(RejectedError):
    """A ResourceQuota of the namespace is full."""

    reason = "QUOTA_EXCEEDED"
    retryable = True


class NotFoundError(ClusterError):
    """The object does not exist."""

    reason = "NOT_FOUND"


class KindMissingError(ClusterError):
    """The server does not serve the kind or its version: the CRD is not installed, or is another version."""

    reason = "KIND_MISSING"


class AlreadyExistsError(ClusterError):
    """The name is taken."""

    reason = "ALREADY_EXISTS"


class ConflictError(ClusterError):
    """Somebody else changed the object (or owns the field) first."""

    reason = "CONFLICT"
    retryable = True


class GoneError(ClusterError):
    """The resource version is too old to watch from; list again."""

    reason = "GONE"
    retryable = True


class UnavailableError(ClusterError):
    """The server did not answer, or only with 429 or 5xx, for as long as was waited."""

    reason = "UNAVAILABLE"
    retryable = True


def error_of(status: int, body: bytes, verb: str, resource: Resource, where: str) -> ClusterError:
    """Name what a refusal means.

    Args:
        status: HTTP status, 400 or more.
        body: Reply; a `Status` object in JSON, or text.
        verb: Kubernetes verb that was asked for.
        resource: What it was asked of.
        where: Object and namespace, for the message.

    Returns:
        The error to raise.
    """
    told = _status(body)
    words = str(told.get("message") or body[:300].decode(errors="replace")).strip()
    reason = str(told.get("reason") or "")
    what = f"cannot {verb} {resource.plural} {where}"
    if status == 401:
        return NotAuthenticatedError(
            f"{what}: the API server does not accept the token (expired, or of another cluster); renew the kubeconfig, "
            "or let the pod's service account token be projected anew",
            status,
        )
    if status == 403:
        return _forbidden(what, words)
    if status == 404 and not told.get("details", {}).get("name"):
        return KindMissingError(
            f"{what}: the cluster does not serve {resource.api_version} {resource.kind}; {resource.install}", status
        )
    if status == 429 or status >= 500:
        return UnavailableError(f"{what}: HTTP {status}: {words}", status)
    return _REFUSALS.get(reason if status == 409 else str(status), RejectedError)(f"{what}: {words}", status)


_REFUSALS: dict[str, type[ClusterError]] = {
    "404": NotFoundError,
    "410": GoneError,
    "AlreadyExists": AlreadyExistsError,
    "Conflict": ConflictError,
}


def _forbidden(what: str, words: str) -> ClusterError:
    if "exceeded quota" in words:
        return QuotaExceededError(f"{what}: {words}; wait for the quota to free, or ask for a larger one", 403)
    found = _RBAC.search(words)
    if found is None:
        return RejectedError(f"{what}: {words}", 403)
    account = _ACCOUNT.fullmatch(found["user"])
    who = f"service account {account[2]} of namespace {account[1]}" if account else f"user {found['user']}"
    group = f".{found['group']}" if found["group"] else ""
    scope = f"namespace {found['namespace']}" if found["namespace"] else "the whole cluster"
    return AccessDeniedError(
        f"{who} may not {found['verb']} {found['resource']}{group} in {scope}: bind a Role with this verb to it "
        "(manifests/base/roles.yaml has the roles), or run the step with the account that has it",
        403,
    )


def _status(body: bytes) -> dict[str, Any]:
    """Read a `Status` object; empty for anything else, such as a proxy's page or `404 page not found`."""
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) and told.get("kind") == "Status" else {}

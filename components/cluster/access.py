"""What the current account may do, and what the cluster serves: asked before hours are spent."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from flywheel.components.cluster.client import Cluster
from flywheel.components.cluster.errors import AccessDeniedError, KindMissingError
from flywheel.components.cluster.resources import ACCESS_REVIEWS, Resource


@dataclass(frozen=True)
class Right:
    """A verb on a kind, or on a subresource of it."""

    verb: str
    resource: Resource
    subresource: str = ""

    def __str__(self) -> str:
        part = f"/{self.subresource}" if self.subresource else ""
        group = f".{self.resource.group}" if self.resource.group else ""
        return f"{self.verb} {self.resource.plural}{part}{group}"


def missing_rights(cluster: Cluster, rights: Iterable[Right], namespace: str = "") -> list[Right]:
    """Ask the server (SelfSubjectAccessReview) which rights the current account lacks in a namespace."""
    lacking = []
    for right in rights:
        attributes = {
            "namespace": namespace or cluster.namespace,
            "verb": right.verb,
            "group": right.resource.group,
            "version": right.resource.version,
            "resource": right.resource.plural,
            "subresource": right.subresource,
        }
        body = {
            "apiVersion": ACCESS_REVIEWS.api_version,
            "kind": ACCESS_REVIEWS.kind,
            "spec": {"resourceAttributes": attributes},
        }
        if not cluster.ask(ACCESS_REVIEWS, body)["status"]["allowed"]:
            lacking.append(right)
    return lacking


def demand_rights(cluster: Cluster, rights: Iterable[Right], namespace: str = "") -> None:
    """Refuse to start work that the account could not bring to an end.

    Raises:
        AccessDeniedError: Names the account and every missing right.
    """
    if lacking := missing_rights(cluster, rights, namespace):
        raise AccessDeniedError(
            f"{account(cluster)} lacks rights in namespace {namespace or cluster.namespace}: "
            f"{', '.join(map(str, lacking))}; bind a Role with them to it (manifests/base/roles.yaml has the roles), "
            "or run the step with the account that has them",
            403,
        )


def account(cluster: Cluster) -> str:
    """Name the current account, as the server sees it, for messages.

    Servers before 1.27 have no SelfSubjectReview; there, a refusal that nobody can be granted tells the name.
    """
    nothing = Resource("flywheel.invalid", "v1", "identities", "Identity")
    try:
        cluster.list(nothing)
    except AccessDeniedError as refused:
        found = re.match(r"(.*?) may not ", str(refused))
        return found[1] if found else "the current account"
    except KindMissingError:  # an administrator: allowed to ask for what does not exist
        return "the current account (an administrator)"
    return "the current account"


def demand_kind(cluster: Cluster, resource: Resource) -> None:
    """Check that the cluster serves a kind in the version we speak.

    Raises:
        KindMissingError: Says what is served instead, and what to install.
    """
    group_path = f"/apis/{resource.group}"
    try:
        served = [one["version"] for one in cluster.read(group_path)["versions"]]
    except KindMissingError:
        served = []
    having = []
    for version in served:
        kinds = {one["kind"] for one in cluster.read(f"{group_path}/{version}")["resources"]}
        having += [version] if resource.kind in kinds else []
    if resource.version in having:
        return
    if having:
        raise KindMissingError(
            f"the cluster serves {resource.kind} of {resource.group} in {', '.join(having)}, not in "
            f"{resource.version}; {resource.install}",
            404,
        )
    raise KindMissingError(f"the cluster serves no {resource.kind} ({resource.api_version}); {resource.install}", 404)

"""Following objects as they change, through closed streams, expired versions and API server restarts."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from flywheel.components.cluster.client import Body, Cluster
from flywheel.components.cluster.errors import GoneError, UnavailableError
from flywheel.components.cluster.resources import Resource

_PATIENCE_WITH_SILENCE = 15.0  # seconds beyond the stream's own end before its connection counts as dead


@dataclass(frozen=True)
class Seen:
    """What happened to an object; `object` is its newest state, or its last one when deleted."""

    kind: Literal["present", "deleted"]
    object: Body


def watch(
    cluster: Cluster,
    resource: Resource,
    namespace: str = "",
    name: str = "",
    labels: str = "",
    look_every: float = 10.0,
) -> Iterator[Seen | None]:
    """Follow objects without end: first what is there, then every change.

    A stream is closed by the server after `look_every` seconds and opened again where it ended. When the version it
    ended at is too old (410 Gone), everything is listed again: states in between may be skipped, the newest never is.
    A server that cannot be reached for longer than the cluster's patience ends the iteration with its error.

    Args:
        cluster: Where.
        resource: Kind.
        namespace: "": the connection's.
        name: Only this object.
        labels: Only objects with these labels.
        look_every: Seconds; at the latest after these the caller gets None, to look at its clock.

    Yields:
        Changes; None when nothing happened for a while.
    """
    query = {"labelSelector": labels, "fieldSelector": f"metadata.name={name}" if name else ""}
    known: dict[str, Body] = {}
    version = ""
    while True:
        if not version:
            listed = cluster.list(resource, namespace, labels=labels, fields=query["fieldSelector"])
            version = listed["metadata"]["resourceVersion"]
            yield from _differences(known, listed["items"])
        try:
            for event in _stream(cluster, resource, namespace, {**query, "resourceVersion": version}, look_every):
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    yield _note(known, event)
        except GoneError:
            version = ""
            continue
        yield None


def wait_gone(
    cluster: Cluster, resource: Resource, name: str, seconds: float, namespace: str = "", uid: str = ""
) -> bool:
    """Wait until an object (with this uid, if given) is deleted; False when it is still there."""
    deadline = time.monotonic() + seconds
    for pause in cluster.patience.pauses():
        found = cluster.find(resource, name, namespace)
        if found is None or (uid and found["metadata"]["uid"] != uid):
            return True
        if time.monotonic() + pause > deadline:
            return False
        time.sleep(pause)
    raise AssertionError("pauses never end")


def _differences(known: dict[str, Body], items: list[Body]) -> Iterator[Seen]:
    """Compare a fresh list with what was known; updates `known`."""
    fresh = {item["metadata"]["uid"]: item for item in items}
    for uid in [uid for uid in known if uid not in fresh]:
        yield Seen("deleted", known.pop(uid))
    for uid, item in fresh.items():
        before = known.get(uid)
        known[uid] = item
        if before is None or before["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
            yield Seen("present", item)


def _note(known: dict[str, Body], event: Body) -> Seen:
    item = event["object"]
    if event["type"] == "DELETED":
        known.pop(item["metadata"]["uid"], None)
        return Seen("deleted", item)
    known[item["metadata"]["uid"]] = item
    return Seen("present", item)


def _stream(
    cluster: Cluster, resource: Resource, namespace: str, query: dict[str, str], seconds: float
) -> Iterator[dict[str, Any]]:
    """Read one watch request to its end, however it ends.

    Raises:
        GoneError: The version is too old.
        UnavailableError: The server reported another error within the stream.
    """
    import urllib3

    whole = {**query, "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(max(1, round(seconds)))}
    stream = cluster.open_stream(resource, namespace, whole, seconds + _PATIENCE_WITH_SILENCE)
    pending = b""
    try:
        for chunk in stream.stream(65536):
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                event = json.loads(line)
                if event["type"] != "ERROR":
                    yield event
                elif event["object"].get("code") == 410:
                    raise GoneError(f"watching {resource.plural}: {event['object'].get('message')}", 410)
                else:
                    raise UnavailableError(f"watching {resource.plural}: {event['object'].get('message')}")
    except (urllib3.exceptions.HTTPError, OSError):
        return  # closed or dead: the caller opens another where this one ended; a part of a line is sent again
    finally:
        stream.close()

"""From a log to the state of a registry: pure functions, so that every reader comes to the same answer.

An entry of the audit stream asks for something; whether it takes effect follows from the entries before it. Two writers
who race append two entries, and the second finds, like everybody else, that its expectation no longer held.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from flywheel.components.registry.log_store import Entry
from flywheel.components.registry.records import Event, Lease, ModelVersion, RecordedEvent


@dataclass
class Audit:
    """State of one model's audit stream.

    Attributes:
        aliases: Alias -> version.
        events: The trail, oldest first.
        refused: Entry id -> (alias, where it pointed, where it was expected), or a stale fence.
        last: Number of the last entry that moved an alias; 0: none did.
        seen: Ids of all entries.
    """

    aliases: dict[str, int] = field(default_factory=dict)
    events: list[RecordedEvent] = field(default_factory=list)
    refused: dict[str, tuple[str, int | None, int | None]] = field(default_factory=dict)
    last: int = 0
    seen: set[str] = field(default_factory=set)
    fences: dict[str, int] = field(default_factory=dict)


STALE_FENCE = "fence"


def audit(entries: Iterable[Entry]) -> Audit:
    """Replay an audit stream.

    Args:
        entries: Its entries, in order.

    Returns:
        The state.
    """
    state = Audit()
    for entry in entries:
        content = _content(entry)
        if content is None or content["id"] in state.seen:
            continue
        state.seen.add(content["id"])
        if content["kind"] == "event":
            _trail(state, Event.model_validate(content["event"]), content["at"])
        elif content["kind"] == "moves":
            _moves(state, content, entry.number)
    return state


def _moves(state: Audit, content: Mapping[str, Any], number: int) -> None:
    fence = content.get("fence")
    if fence and fence["token"] < state.fences.get(fence["resource"], 0):
        state.refused[content["id"]] = (STALE_FENCE, None, None)
        return
    after, events = dict(state.aliases), []
    for move in content["moves"]:
        actual, target = after.get(move["alias"]), move["version"]
        if actual != move["expected"]:
            state.refused[content["id"]] = (move["alias"], actual, move["expected"])
            return
        if target is None:
            after.pop(move["alias"], None)
        else:
            after[move["alias"]] = target
        if target != actual:
            told = {key: content[key] for key in ("name", "who", "reason", "evidence", "run_id")}
            events.append(Event(kind="alias", version=target, alias=move["alias"], previous=actual, **told))
    if fence:
        state.fences[fence["resource"]] = fence["token"]
    state.aliases, state.last = after, number
    for event in events:
        _trail(state, event, content["at"])


def _trail(state: Audit, event: Event, at: float) -> None:
    state.events.append(RecordedEvent(number=len(state.events) + 1, at=moment(at), **event.model_dump()))


def versions(entries: Iterable[Entry]) -> list[ModelVersion]:
    """Read a model's versions; of two entries with one digest (two registrations at once) the first counts.

    Args:
        entries: Entries of the model's stream.

    Returns:
        The versions in order; what others registered there is left out.
    """
    found: dict[str, ModelVersion] = {}
    for entry in entries:
        content = _content(entry)
        if content is None or content.get("kind") != "version":
            continue
        version = ModelVersion.model_validate({**content["version"], "version": entry.number})
        found.setdefault(version.digest, version)
    return list(found.values())


@dataclass(frozen=True)
class Grant:
    """A lease that was granted: its entry's number is its token."""

    lease: Lease
    expires: float  # seconds since the epoch
    identity: str  # of the entry, which the server may have added twice


def grants(entries: Iterable[Entry], resource: str) -> list[Grant]:
    """Replay a lease stream.

    An entry is granted when, at the moment it was asked for, the grant before it had expired, was released, or
    belonged to the same holder.

    Args:
        entries: Entries of the resource's stream.
        resource: What the lease is for.

    Returns:
        The grants in order; the last one is the holder, if it has not expired.
    """
    found: list[Grant] = []
    seen: set[str] = set()
    for entry in entries:
        content = _content(entry)
        if content is None or content.get("kind") != "lease" or content["id"] in seen:
            continue
        seen.add(content["id"])
        if found and found[-1].expires > content["at"] and found[-1].lease.holder != content["holder"]:
            continue
        expires = content["expires"]
        lease = Lease(resource=resource, holder=content["holder"], token=entry.number, expires_at=moment(expires))
        found.append(Grant(lease, expires, content["id"]))
    return found


def moment(seconds: float) -> datetime:
    """Seconds since the epoch as UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def _content(entry: Entry) -> dict[str, Any] | None:
    """An entry of ours; None for what somebody else put there."""
    try:
        content = json.loads(entry.text)
    except ValueError:
        return None
    return content if isinstance(content, dict) and "id" in content and "kind" in content else None

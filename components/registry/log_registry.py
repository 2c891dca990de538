"""A registry on a server that knows neither compare-and-set nor leases: an append-only log decides (`replay`).

Promises of `Registry` and how they are kept:

- versions: the server numbers them; the same digest twice is one version, the first.
- alias moves, all or none, only from where they are expected: one entry holds all moves and their expectations. It
  takes effect where it stands in the log, or not at all; the writer reads back which. A writer that dies in between has
  either appended the entry or not.
- fencing: an entry carries its lease's token, and takes no effect after one with a newer token.
- the server's own aliases are a view, written after the log. If a process dies before writing it, the next one does; an
  alias that a person moved on the server is taken over as an event of its own.

Leases go by the clocks of their holders, so these must agree to within a few seconds.
"""

import hashlib
import json
import re
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from flywheel.components.registry import rules
from flywheel.components.registry.errors import LeaseHeldError, LeaseLostError, NotRegisteredError
from flywheel.components.registry.log_store import LogStore
from flywheel.components.registry.records import (
    Alias,
    AliasMove,
    Event,
    Lease,
    ModelVersion,
    NewVersion,
    RecordedEvent,
)
from flywheel.components.registry.replay import STALE_FENCE, Audit, Grant, audit, grants, moment, versions

AUDIT = ".flywheel-audit"
LEASES = "flywheel-lease."
_MARGIN_S = 0.5  # a lease that is as good as over is not renewed: somebody may be taking it over this moment


class LogRegistry:
    """A registry on a `LogStore`; see `Registry` for what each call promises.

    Args:
        store: The server.
        clock: Seconds since the epoch; replaced in tests.
    """

    def __init__(self, store: LogStore, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    def register(self, new: NewVersion, who: str) -> ModelVersion:
        """Register a model; see `Registry.register`."""
        known = self.find_by_digest(new.name, new.digest)
        if known is None:
            content = {**new.model_dump(mode="json"), "created_at": moment(self._clock()).isoformat()}
            self._store.append(new.name, _entry("version", version=content), new.uri)
            known = self.find_by_digest(new.name, new.digest)
            if known is None:
                raise NotRegisteredError(f"{new.name}: the server took version {new.digest[:12]} and does not show it")
            if known.run_id == new.run_id:
                self._told(known, "registered", who)
                return known
        fresh = rules.registered_again(known, new)
        self._told(known, "registered", who)  # unless it died before saying so
        if fresh != known:
            content = fresh.model_dump(mode="json", exclude={"version"})
            self._store.replace(new.name, fresh.version, _entry("version", version=content))
            self._told(fresh, "registered again", who)
        return fresh

    def get(self, name: str, version: int) -> ModelVersion:
        """Return a version; see `Registry.get`."""
        for one in self.list_versions(name):
            if one.version == version:
                return one
        raise rules.not_registered(name, version)

    def find_by_digest(self, name: str, digest: str) -> ModelVersion | None:
        """Return the version with this digest, or None."""
        return next((one for one in self.list_versions(name) if one.digest == digest), None)

    def list_versions(self, name: str | None = None) -> list[ModelVersion]:
        """Return versions, oldest first; see `Registry.list_versions`."""
        names = [name] if name is not None else [one for one in sorted(self._store.streams()) if not _ours(one)]
        return [version for one in names for version in versions(self._store.read(one))]

    def get_alias(self, name: str, alias: Alias) -> int | None:
        """Return the version that an alias points to, or None."""
        return self._state(name).aliases.get(str(alias))

    def set_alias(
        self,
        name: str,
        moves: Sequence[AliasMove],
        who: str,
        reason: str,
        evidence: str = "",
        run_id: str = "",
        fence: Lease | None = None,
    ) -> None:
        """Move aliases by compare-and-set, all or none; see `Registry.set_alias`."""
        if fence is not None:
            self._held(fence)
        state = self._state(name)
        present = dict(state.aliases)
        for move in moves:
            actual = present.get(str(move.alias))
            if actual != move.expected:
                raise rules.alias_moved(name, move.alias, actual, move.expected)
            if move.version is not None:
                self.get(name, move.version)
                present[str(move.alias)] = move.version
            else:
                present.pop(str(move.alias), None)
        content: dict[str, Any] = {
            "name": name,
            "moves": [move.model_dump(mode="json") for move in moves],
            "who": who,
            "reason": reason,
            "evidence": evidence,
            "run_id": run_id,
        }
        if fence is not None:
            content["fence"] = {"resource": fence.resource, "token": fence.token}
        text = _entry("moves", at=self._clock(), **content)
        self._store.append(name + AUDIT, text)
        after = audit(self._store.read(name + AUDIT))
        refused = after.refused.get(json.loads(text)["id"])
        if refused is not None and refused[0] == STALE_FENCE:
            raise LeaseLostError(
                f"a newer holder of the lease has moved aliases of {name} already; nothing was changed"
            )
        if refused is not None:
            raise rules.alias_moved(name, *refused)
        self._store.show(name, after.aliases, after.last)

    def record(self, event: Event) -> None:
        """Add an event to the audit trail."""
        text = _entry("event", at=self._clock(), event=event.model_dump(mode="json"))
        self._store.append(event.name + AUDIT, text)

    def history(self, name: str) -> list[RecordedEvent]:
        """Return the audit trail of a model, oldest first."""
        return self._state(name).events

    def acquire_lease(self, resource: str, holder: str, ttl_s: float) -> Lease:
        """Take a lease; see `Registry.acquire_lease`."""
        rules.check_ttl(ttl_s)
        stream, now = _lease_stream(resource), self._clock()
        self._free(grants(self._store.read(stream), resource), holder, now)
        text = _entry("lease", at=now, holder=holder, expires=now + ttl_s, resource=resource)
        self._store.append(stream, text)
        granted = grants(self._store.read(stream), resource)
        identity = json.loads(text)["id"]  # not the number: a lost answer leaves the entry there twice
        mine = [grant for grant in granted if grant.identity == identity]
        if not mine:  # another holder's entry came first
            self._free(granted, holder, now)
            raise LeaseHeldError(f"{resource} is being changed by another run; wait for it, then try again")
        return mine[0].lease

    def renew_lease(self, lease: Lease, ttl_s: float) -> Lease:
        """Extend a lease; see `Registry.renew_lease`."""
        self._held(lease, _MARGIN_S)
        expires = self._clock() + ttl_s
        self._rewrite(lease, expires)
        self._held(lease)  # nobody took over while it was being written
        return lease.model_copy(update={"expires_at": moment(expires)})

    def release_lease(self, lease: Lease) -> None:
        """Give a lease back; one that is no longer held is left as it is."""
        granted = grants(self._store.read(_lease_stream(lease.resource)), lease.resource)
        if granted and granted[-1].lease.token == lease.token:
            self._rewrite(lease, 0.0)

    def _rewrite(self, lease: Lease, expires: float) -> None:
        """Change when a lease ends; its entry is its holder's own."""
        stream = _lease_stream(lease.resource)
        for entry in self._store.read(stream):
            if entry.number == lease.token:
                content = {**json.loads(entry.text), "expires": expires}
                self._store.replace(stream, entry.number, json.dumps(content, sort_keys=True))

    def _held(self, lease: Lease, margin: float = 0.0) -> None:
        granted = grants(self._store.read(_lease_stream(lease.resource)), lease.resource)
        last = granted[-1] if granted else None
        if last is None or last.lease.token != lease.token or last.expires <= self._clock() + margin:
            raise rules.lease_lost(lease)

    def _free(self, granted: list[Grant], holder: str, now: float) -> None:
        if granted and granted[-1].expires > now and granted[-1].lease.holder != holder:
            raise rules.lease_held(granted[-1].lease)

    def _state(self, name: str) -> Audit:
        """Replay the audit trail, and bring what the server shows in line with it."""
        state, shown = audit(self._store.read(name + AUDIT)), self._store.shown(name)
        there = {alias: number for alias, number in shown.aliases.items() if alias in set(Alias)}
        if there == state.aliases:
            return state
        if shown.projected != state.last:  # a writer died before it could show what it had decided
            self._store.show(name, state.aliases, state.last)
            return state
        # Nothing of ours is outstanding, so a person moved an alias on the server.
        changed = sorted(alias for alias in set(Alias) if there.get(alias) != state.aliases.get(alias))
        moves = [
            {"alias": str(alias), "version": there.get(alias), "expected": state.aliases.get(alias)}
            for alias in changed
        ]
        text = _entry(
            "moves", at=self._clock(), name=name, moves=moves, who="the registry server", evidence="", run_id="",
            reason="moved on the server, not by the flywheel",
        )  # fmt: skip
        self._store.append(name + AUDIT, text)
        state = audit(self._store.read(name + AUDIT))
        self._store.show(name, state.aliases, state.last)
        return state

    def _told(self, version: ModelVersion, kind: str, who: str) -> None:
        """Add the event of a registration, unless it is there."""
        about = hashlib.sha256(f"{kind}:{version.model_dump_json()}".encode()).hexdigest()[:24]
        identity = f"{kind}:{version.version}" if kind == "registered" else about
        if identity in audit(self._store.read(version.name + AUDIT)).seen:
            return
        event = rules.registration_event(version, kind, who)
        text = _entry("event", identity, at=self._clock(), event=event.model_dump(mode="json"))
        self._store.append(version.name + AUDIT, text)


def _entry(kind: str, identity: str = "", **content: Any) -> str:
    return json.dumps({"id": identity or uuid.uuid4().hex, "kind": kind, **content}, sort_keys=True)


def _ours(stream: str) -> bool:
    return stream.endswith(AUDIT) or stream.startswith(LEASES)


def _lease_stream(resource: str) -> str:
    """A name that any server takes: readable, and different for different resources."""
    short = hashlib.sha256(resource.encode()).hexdigest()[:8]
    return f"{LEASES}{re.sub(r'[^A-Za-z0-9]+', '-', resource).strip('-')[:60]}.{short}"

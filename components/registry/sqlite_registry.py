"""The embedded registry: one SQLite file."""

import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from flywheel.components.registry import rules
from flywheel.components.registry.records import (
    Alias,
    AliasMove,
    Event,
    Lease,
    ModelVersion,
    NewVersion,
    RecordedEvent,
)
from flywheel.components.registry.sqlite_connection import connection, transaction


class SqliteRegistry:
    """A registry in one SQLite file; see `Registry` for what each call promises.

    Args:
        path: The file; it and its folder are created on first use.
        clock: Seconds since the epoch; replaced in tests.
    """

    def __init__(self, path: str | Path, clock: Callable[[], float] = time.time) -> None:
        self.path = Path(path)
        self._clock = clock

    def register(self, new: NewVersion, who: str) -> ModelVersion:
        """Register a model; see `Registry.register`."""
        with transaction(self.path) as db:
            known = _by_digest(db, new.name, new.digest)
            if known is None:
                number = (
                    1
                    + db.execute(
                        "SELECT coalesce(max(version), 0) FROM versions WHERE name = ?", (new.name,)
                    ).fetchone()[0]
                )
                version = ModelVersion(**new.model_dump(), version=number, created_at=self._now())
                db.execute(
                    "INSERT INTO versions VALUES (?, ?, ?, ?, ?)",
                    (new.name, number, new.digest, version.created_at.isoformat(), version.model_dump_json()),
                )
                self._add(db, rules.registration_event(version, "registered", who))
                return version
            version = rules.registered_again(known, new)
            if version != known:
                db.execute(
                    "UPDATE versions SET document = ? WHERE name = ? AND version = ?",
                    (version.model_dump_json(), version.name, version.version),
                )
                self._add(db, rules.registration_event(version, "registered again", who))
            return version

    def get(self, name: str, version: int) -> ModelVersion:
        """Return a version; see `Registry.get`."""
        with connection(self.path) as db:
            return _get(db, name, version)

    def find_by_digest(self, name: str, digest: str) -> ModelVersion | None:
        """Return the version with this digest, or None."""
        with connection(self.path) as db:
            return _by_digest(db, name, digest)

    def list_versions(self, name: str | None = None) -> list[ModelVersion]:
        """Return versions, oldest first; see `Registry.list_versions`."""
        with connection(self.path) as db:
            rows = db.execute(
                "SELECT document FROM versions WHERE ?1 IS NULL OR name = ?1 ORDER BY name, version", (name,)
            )
            return [ModelVersion.model_validate_json(row[0]) for row in rows]

    def get_alias(self, name: str, alias: Alias) -> int | None:
        """Return the version that an alias points to, or None."""
        with connection(self.path) as db:
            return _alias(db, name, alias)

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
        with transaction(self.path) as db:
            if fence is not None:
                self._check(db, fence)
            for move in moves:
                actual = _alias(db, name, move.alias)
                if actual != move.expected:
                    raise rules.alias_moved(name, move.alias, actual, move.expected)
                if move.version is None:
                    db.execute("DELETE FROM aliases WHERE name = ? AND alias = ?", (name, move.alias))
                else:
                    _get(db, name, move.version)
                    db.execute("INSERT OR REPLACE INTO aliases VALUES (?, ?, ?)", (name, move.alias, move.version))
                if move.version != actual:
                    self._add(
                        db,
                        Event(
                            name=name,
                            kind="alias",
                            who=who,
                            reason=reason,
                            version=move.version,
                            alias=move.alias,
                            previous=actual,
                            evidence=evidence,
                            run_id=run_id,
                        ),
                    )

    def record(self, event: Event) -> None:
        """Add an event to the audit trail."""
        with transaction(self.path) as db:
            self._add(db, event)

    def history(self, name: str) -> list[RecordedEvent]:
        """Return the audit trail of a model, oldest first."""
        with connection(self.path) as db:
            rows = db.execute("SELECT number, at, document FROM events WHERE name = ? ORDER BY number", (name,))
            return [RecordedEvent(number=number, at=at, **json.loads(text)) for number, at, text in rows]

    def acquire_lease(self, resource: str, holder: str, ttl_s: float) -> Lease:
        """Take a lease; see `Registry.acquire_lease`."""
        rules.check_ttl(ttl_s)
        with transaction(self.path) as db:
            row = db.execute("SELECT holder, token, expires_at FROM leases WHERE resource = ?", (resource,)).fetchone()
            if row is not None and row[0] not in ("", holder) and row[2] > self._clock():
                held = Lease(resource=resource, holder=row[0], token=row[1], expires_at=_time(row[2]))
                raise rules.lease_held(held)
            token, expires = 1 + (row[1] if row else 0), self._clock() + ttl_s
            db.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?)", (resource, holder, token, expires))
        return Lease(resource=resource, holder=holder, token=token, expires_at=_time(expires))

    def renew_lease(self, lease: Lease, ttl_s: float) -> Lease:
        """Extend a lease; see `Registry.renew_lease`."""
        with transaction(self.path) as db:
            self._check(db, lease)
            expires = self._clock() + ttl_s
            db.execute("UPDATE leases SET expires_at = ? WHERE resource = ?", (expires, lease.resource))
        return lease.model_copy(update={"expires_at": _time(expires)})

    def release_lease(self, lease: Lease) -> None:
        """Give a lease back; one that is no longer held is left as it is."""
        with transaction(self.path) as db:
            db.execute(
                "UPDATE leases SET holder = '', expires_at = 0 WHERE resource = ? AND token = ?",
                (lease.resource, lease.token),
            )

    def _check(self, db: sqlite3.Connection, lease: Lease) -> None:
        row = db.execute("SELECT token, expires_at FROM leases WHERE resource = ?", (lease.resource,)).fetchone()
        if row is None or row[0] != lease.token or row[1] <= self._clock():
            raise rules.lease_lost(lease)

    def _add(self, db: sqlite3.Connection, event: Event) -> None:
        db.execute(
            "INSERT INTO events (name, at, document) VALUES (?, ?, ?)",
            (event.name, self._now().isoformat(), event.model_dump_json()),
        )

    def _now(self) -> datetime:
        return _time(self._clock())


def _by_digest(db: sqlite3.Connection, name: str, digest: str) -> ModelVersion | None:
    row = db.execute("SELECT document FROM versions WHERE name = ? AND digest = ?", (name, digest)).fetchone()
    return None if row is None else ModelVersion.model_validate_json(row[0])


def _get(db: sqlite3.Connection, name: str, version: int) -> ModelVersion:
    row = db.execute("SELECT document FROM versions WHERE name = ? AND version = ?", (name, version)).fetchone()
    if row is None:
        raise rules.not_registered(name, version)
    return ModelVersion.model_validate_json(row[0])


def _alias(db: sqlite3.Connection, name: str, alias: Alias) -> int | None:
    row = db.execute("SELECT version FROM aliases WHERE name = ? AND alias = ?", (name, alias)).fetchone()
    return None if row is None else int(row[0])


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

"""One SQLite file, many processes: WAL, a busy timeout, and short write transactions that start with the lock.

Each operation opens its own connection (0.2 ms): nothing is shared over fork, and a process killed at any point leaves
either the whole transaction or none of it. The file must be on a local disk or a volume with working POSIX locks.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flywheel.components.registry.errors import RegistryError

SCHEMA_VERSION = 1
_BUSY_S = 30.0

_SCHEMA = (
    """CREATE TABLE versions (
        name TEXT NOT NULL, version INTEGER NOT NULL, digest TEXT NOT NULL, created_at TEXT NOT NULL,
        document TEXT NOT NULL, PRIMARY KEY (name, version), UNIQUE (name, digest)) STRICT""",
    """CREATE TABLE aliases (
        name TEXT NOT NULL, alias TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (name, alias),
        FOREIGN KEY (name, version) REFERENCES versions (name, version)) STRICT""",
    """CREATE TABLE events (
        number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, at TEXT NOT NULL,
        document TEXT NOT NULL) STRICT""",
    "CREATE INDEX events_by_name ON events (name, number)",
    # A released lease keeps its row, so that its token never falls back.
    """CREATE TABLE leases (
        resource TEXT PRIMARY KEY, holder TEXT NOT NULL, token INTEGER NOT NULL, expires_at REAL NOT NULL) STRICT""",
    """CREATE TRIGGER events_stay BEFORE UPDATE ON events
        BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
    """CREATE TRIGGER events_are_kept BEFORE DELETE ON events
        BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END""",
)


@contextmanager
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file for one operation.

    Raises:
        RegistryError: The file cannot be opened, is no SQLite file or belongs to a newer version of the package.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        opened = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
    except (sqlite3.Error, OSError) as error:
        raise RegistryError(f"registry {path} cannot be opened: {error}") from error
    try:
        opened.execute("PRAGMA foreign_keys = ON")
        _prepare(opened, path)
        yield opened
    except sqlite3.DatabaseError as error:
        raise RegistryError(f"registry {path}: {error}; is it a registry, and may this user write to it?") from error
    finally:
        opened.close()


@contextmanager
def transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file and hold the write lock: all changes of the block are made, or none.

    Raises:
        RegistryError: As `connection`, or another process kept the lock for more than 30 s.
    """
    with connection(path) as opened:
        opened.execute("BEGIN IMMEDIATE")
        try:
            yield opened
        except BaseException:
            if opened.in_transaction:  # a full disk has rolled back already
                opened.execute("ROLLBACK")
            raise
        opened.execute("COMMIT")


def _prepare(opened: sqlite3.Connection, path: Path) -> None:
    """Create the tables on first use; refuse a file of a newer package."""
    found = opened.execute("PRAGMA user_version").fetchone()[0]
    if found == SCHEMA_VERSION:
        return
    if found > SCHEMA_VERSION:
        raise RegistryError(
            f"registry {path} has schema {found}, this package knows {SCHEMA_VERSION}: upgrade feedback-flywheel"
        )
    _switch_to_wal(opened)
    opened.execute("BEGIN IMMEDIATE")
    if opened.execute("PRAGMA user_version").fetchone()[0] == 0:  # nobody was faster
        if opened.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            opened.execute("ROLLBACK")
            raise RegistryError(f"{path} is an SQLite file of something else; name another file for the registry")
        for statement in _SCHEMA:
            opened.execute(statement)
        opened.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    opened.execute("COMMIT")


def _switch_to_wal(opened: sqlite3.Connection) -> None:
    """Switch to WAL. SQLite ignores the busy timeout here, so wait by hand for processes that do the same."""
    deadline = time.monotonic() + _BUSY_S
    while True:
        try:
            opened.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)

"""Several processes on one registry file, and processes that die in the middle."""

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flywheel.components.registry.errors import AliasMovedError, LeaseHeldError, RegistryError
from flywheel.components.registry.records import Alias, AliasMove, NewVersion
from flywheel.components.registry.sqlite_registry import SqliteRegistry

FORK = multiprocessing.get_context("fork")  # spawn cannot import a test module under --import-mode=importlib


def new(digest: str) -> NewVersion:
    return NewVersion(name="m", digest=digest, uri=f"/{digest}")


def race(path: str, number: int, barrier, results) -> None:
    registry = SqliteRegistry(path)
    barrier.wait()
    mine = registry.register(new(f"d{number}"), f"p{number}").version
    shared = registry.register(new("shared"), f"p{number}").version
    barrier.wait()
    try:
        registry.set_alias("m", [AliasMove(alias=Alias.PRODUCTION, version=mine, expected=None)], f"p{number}", "race")
        won = True
    except AliasMovedError:
        won = False
    try:
        registry.acquire_lease("service", f"p{number}", 60)
        leased = True
    except LeaseHeldError:
        leased = False
    results.put((mine, shared, won, leased))


@pytest.mark.slow
def test_exactly_one_of_four_processes_wins(tmp_path: Path) -> None:
    path = str(tmp_path / "registry.db")  # not created yet: making the tables is part of the race
    barrier, results = FORK.Barrier(4), FORK.Queue()
    processes = [FORK.Process(target=race, args=(path, number, barrier, results)) for number in range(4)]
    for process in processes:
        process.start()
    found = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(timeout=60)
        assert process.exitcode == 0
    assert sorted(won for _, _, won, _ in found) == [False, False, False, True]
    assert sorted(leased for _, _, _, leased in found) == [False, False, False, True]
    assert len({shared for _, shared, _, _ in found}) == 1, "one digest, one version"
    versions = SqliteRegistry(path).list_versions("m")
    assert [version.version for version in versions] == [1, 2, 3, 4, 5]
    winner = next(mine for mine, _, won, _ in found if won)
    assert SqliteRegistry(path).get_alias("m", Alias.PRODUCTION) == winner


@pytest.mark.slow
def test_killed_writers_leave_a_usable_registry(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    program = (
        "import sys\n"
        "from flywheel.components.registry.records import NewVersion\n"
        "from flywheel.components.registry.sqlite_registry import SqliteRegistry\n"
        "registry = SqliteRegistry(sys.argv[1])\n"
        "for number in range(10**6):\n"
        "    registry.register(NewVersion(name='m', digest=f'{sys.argv[2]}-{number}', uri='/m'), 'killed')\n"
        "    print(number, flush=True)\n"
    )
    for attempt in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(path), str(attempt)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        acknowledged = int(process.stdout.readline())
        time.sleep(0.05 * attempt)
        os.kill(process.pid, signal.SIGKILL)
        acknowledged += len(process.stdout.read().split())
        process.wait()
        registry = SqliteRegistry(path)
        versions = registry.list_versions("m")
        assert [version.version for version in versions] == list(range(1, len(versions) + 1))
        mine = [version for version in versions if version.digest.startswith(f"{attempt}-")]
        assert len(mine) in (acknowledged + 1, acknowledged + 2), "an acknowledged version is never lost"
        assert len(registry.history("m")) == len(versions), "version and event are one transaction"
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    db.close()


def test_audit_trail_cannot_be_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    SqliteRegistry(path).register(new("d"), "t")
    db = sqlite3.connect(path)
    for statement in ("DELETE FROM events", "UPDATE events SET name = 'x'"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            db.execute(statement)
    db.close()


def test_registry_of_a_newer_package_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(RegistryError, match="upgrade"):
        SqliteRegistry(path).list_versions()

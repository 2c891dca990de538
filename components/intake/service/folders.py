"""A folder of its own for every process, and the adoption of folders whose process is gone.

Who holds the lock (flock) of a folder may write or move its segments; the kernel frees it when the process dies. Locks
of flock work on local disks, CephFS and NFSv4; on a volume without them the service refuses to start.
"""

import contextlib
import fcntl
import os
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

from flywheel.components.intake.errors import IntakeError
from flywheel.components.intake.service.segment import OPEN, SEALED

_LOCK = "lock"
_NEW = ".new-"  # not locked yet: nobody looks at it


class LockedFolder:
    """A folder under the segments' root, locked as long as this object is not released."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle = handle

    def segments(self, *, sealed: bool) -> list[Path]:
        """List the segments, oldest first: the sealed ones only, or all."""
        endings = (SEALED,) if sealed else (SEALED, OPEN)
        return sorted(path for path in self.path.iterdir() if path.suffix in endings)

    def size(self) -> int:
        """Bytes of all segments."""
        return sum(size_of(path) for path in self.segments(sealed=False))

    def release(self, *, remove: bool = False) -> None:
        """Give the lock back; `remove` deletes the folder when no segment is in it."""
        if remove and not self.segments(sealed=False):
            (self.path / _LOCK).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # something else lies in it: a damaged segment stays
                self.path.rmdir()
        os.close(self._handle)


def create(root: Path) -> LockedFolder:
    """Make and lock a folder for this process.

    Raises:
        IntakeError: The root cannot be written, or its file system has no locks.
    """
    name = f"{socket.gethostname()[:40]}-{uuid.uuid4().hex[:12]}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        new = root / f"{_NEW}{name}"
        new.mkdir(mode=0o700)
        handle = _lock(new / _LOCK)
        if handle is None:
            raise IntakeError(f"the new folder {new} is locked already; does {root} support flock?")
        path = new.rename(root / name)
    except OSError as error:
        raise IntakeError(f"cannot write segments under {root}: {error}; pass another --segments") from error
    return LockedFolder(path, handle)


def orphans(root: Path, known: set[Path]) -> Iterator[LockedFolder]:
    """Lock and yield the folders whose process is gone; `known` ones are left alone."""
    for path in sorted(root.iterdir()):
        if path in known or path.name.startswith(".") or not (path / _LOCK).is_file():
            continue
        handle = _lock(path / _LOCK, make=False)
        if handle is not None:
            yield LockedFolder(path, handle)


def lock_file(path: Path) -> int | None:
    """Lock a file (made when missing); None when another process holds it. Closing the handle unlocks."""
    return _lock(path)


def _lock(path: Path, *, make: bool = True) -> int | None:
    try:
        handle = os.open(path, os.O_RDWR | (os.O_CREAT if make else 0), 0o600)
    except FileNotFoundError:  # adopted and removed by another process just now
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except OSError:
        os.close(handle)
        raise
    return handle


def size_of(path: Path) -> int:
    """Return a file's bytes; 0 when another process has just moved it away."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0

"""Who uses the CRDs of the shared API server: tests of all workers together, or one that changes them, alone.

Two locks of the kernel on files of this folder, which end with their process. Who wants to be alone closes the gate
first, so that tests of the other worker that begin meanwhile wait.
"""

import contextlib
import fcntl
import os
from pathlib import Path

_GATE, _CRDS = (os.open(Path(__file__).with_name(name), os.O_RDONLY) for name in ("conftest.py", "crd_lock.py"))


def share():
    fcntl.flock(_GATE, fcntl.LOCK_SH)
    fcntl.flock(_CRDS, fcntl.LOCK_SH)
    fcntl.flock(_GATE, fcntl.LOCK_UN)


def leave():
    fcntl.flock(_CRDS, fcntl.LOCK_UN)


@contextlib.contextmanager
def alone():
    """Within a test: wait until no other test runs."""
    leave()
    fcntl.flock(_GATE, fcntl.LOCK_EX)
    fcntl.flock(_CRDS, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(_CRDS, fcntl.LOCK_SH)  # others may go on, this test too
        fcntl.flock(_GATE, fcntl.LOCK_UN)

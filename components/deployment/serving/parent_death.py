"""A child process that dies with its parent, even when the parent is killed with SIGKILL and can clean up nothing."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process as soon as its parent thread ends; Linux only, elsewhere a no-op.

    Args:
        parent: Process id of the process that must be the parent. When it is gone already (it died between the fork
            and this call), this process exits at once.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        os._exit(1)

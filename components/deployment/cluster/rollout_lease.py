"""One rollout on a service at a time: the lease, the signal handlers, and the machine between them."""

import time
from collections.abc import Callable

from flywheel.components.cluster.client import Cluster
from flywheel.components.cluster.errors import ClusterError
from flywheel.components.cluster.lease import Lease, LeaseLostError
from flywheel.components.cluster.resources import LEASES
from flywheel.components.deployment.canary.rollout import stopped_on_exit
from flywheel.components.deployment.cluster.machine import Machine
from flywheel.components.deployment.cluster.refusal import RolloutLostError

LEASE_S = 60
_TRIES = 5


class RolloutLease:
    """The lease of a service's rollout, held by a run; renewed at every quarter of its duration.

    Args:
        cluster: Where.
        service: Name of the InferenceService.
        run_id: Who holds it: a retry of the same run has it again at once.
        seconds: Others may take over when it was not renewed for so long.
    """

    def __init__(self, cluster: Cluster, service: str, run_id: str, seconds: int = LEASE_S) -> None:
        self._lease = Lease(cluster, f"flywheel-rollout-{service}", f"run {run_id}", seconds)
        self._seconds, self._renewed = seconds, 0.0

    def acquire(self) -> None:
        """Take it; one that nobody renews any more is taken over.

        Raises:
            LeaseHeldError: Another run rolls out on this service.
        """
        self._lease.acquire(wait_seconds=1.5 * self._seconds)
        self._renewed = time.monotonic()

    def keep_alive(self) -> None:
        """Renew it, when it is time.

        Raises:
            LeaseLostError: Another process has it.
        """
        if time.monotonic() - self._renewed >= self._seconds / 4:
            self.renew()

    def renew(self) -> None:
        """Renew it now; see `keep_alive`."""
        self._lease.renew()
        self._renewed = time.monotonic()

    def release(self) -> None:
        """Give it back, if it is ours."""
        self._lease.release()

    def clear(self) -> None:
        """Give back what a killed process of our run held, so that the next run need not wait for its end."""
        found = self._lease.cluster.find(LEASES, self._lease.name)
        if found is not None and found["spec"].get("holderIdentity") == self._lease.holder:
            self._lease.acquire()
            self._lease.release()


def guarded(machine: Machine, lease: RolloutLease, work: Callable[[], object], tell: Callable[[str], None]) -> None:
    """Do a rollout's work under its lease; however it ends, no traffic stays on a candidate that nobody watches.

    Args:
        machine: The rollout.
        lease: Its lease.
        work: What to do with the machine.
        tell: Receives lines of progress.

    Raises:
        LeaseHeldError: Another run rolls out on this service.
        Exception: What `work` raises; SystemExit after SIGTERM.
    """
    lease.acquire()
    ours = [True]

    def interrupt() -> None:
        if not ours[0]:
            return  # whoever has the rollout now looks after its traffic
        try:
            lease.renew()
        except LeaseLostError:
            ours[0] = False
        except ClusterError as error:
            tell(f"the lease could not be renewed: {error}")
        if ours[0]:
            machine.interrupt()

    try:
        with stopped_on_exit(interrupt):
            try:
                _prevail(machine, lease, work)
            except (LeaseLostError, RolloutLostError):
                ours[0] = False
                raise
    finally:
        try:
            lease.release()
        except ClusterError as error:
            tell(f"the lease was not given back and ends by itself in {LEASE_S} s: {error}")


def _prevail(machine: Machine, lease: RolloutLease, work: Callable[[], object]) -> None:
    """Work; again when a process of our own run, which no longer holds the lease, wrote in between.

    The lease decides between two processes of one run: the one that took it last goes on with what it finds.
    """
    for left in range(_TRIES - 1, -1, -1):
        try:
            work()
            return
        except RolloutLostError:
            lease.renew()
            if not left or not machine.still_ours():
                raise

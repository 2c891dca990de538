"""One holder at a time: a Lease object (coordination.k8s.io), safe against crashes, zombies and wrong clocks."""

import time
import uuid
from typing import Self

from flywheel.components.cluster.client import Body, Cluster
from flywheel.components.cluster.errors import AlreadyExistsError, ClusterError, ConflictError
from flywheel.components.cluster.resources import LEASES

_TOKEN = "flywheel.feedback-flywheel.dev/token"


class LeaseHeldError(ClusterError):
    """Somebody else holds the lease."""

    reason = "LEASE_HELD"
    retryable = True


class LeaseLostError(ClusterError):
    """The lease was taken over: its former holder must change nothing any more."""

    reason = "LEASE_LOST"
    retryable = True


class Lease:
    """A lease on a name, for one holder.

    The holder is the *work* (a rollout, a run), not the process: after a kill, the retry of the same work has it again
    at once. A process of the same work that still runs then loses it at its next `renew`, since each acquisition has
    a token of its own. A stranger's lease counts as abandoned only when it was *seen* unchanged for its whole
    duration, as client-go's leader election does; time stamps of two machines are never compared.
    """

    def __init__(self, cluster: Cluster, name: str, holder: str, seconds: int = 60, namespace: str = ""):
        """Describe a lease; `acquire` takes it.

        Args:
            cluster: Where.
            name: Name of the Lease object.
            holder: Who wants it, readable: others are told.
            seconds: Renew at least this often, or others may take over.
            namespace: "": the connection's.
        """
        self.cluster, self.name, self.holder, self.seconds, self.namespace = cluster, name, holder, seconds, namespace
        self._token = uuid.uuid4().hex
        self._held: Body | None = None

    def acquire(self, wait_seconds: float = 0.0) -> None:
        """Take the lease.

        Args:
            wait_seconds: How long to wait for another holder; an abandoned lease needs its whole duration.

        Raises:
            LeaseHeldError: Another holder has it; the message says who and since when.
        """
        deadline = time.monotonic() + wait_seconds
        seen, since = "", time.monotonic()
        while True:
            found = self.cluster.find(LEASES, self.name, self.namespace)
            if found is None or self._free(found) or (seen == _version(found) and self._abandoned(found, since)):
                if self._take(found):
                    return
                continue  # somebody was faster: look again
            if seen != _version(found):
                seen, since = _version(found), time.monotonic()
            if time.monotonic() >= deadline:
                spec = found["spec"]
                raise LeaseHeldError(
                    f"{self.name} is held by {spec.get('holderIdentity')} since {spec.get('acquireTime', 'unknown')} "
                    f"(renewed {spec.get('renewTime', 'never')}); wait for it to end, or delete the lease if that work "
                    "no longer runs"
                )
            time.sleep(min(1.0, self.seconds / 10))

    def renew(self) -> None:
        """Say that the holder is alive.

        Raises:
            LeaseLostError: The lease is no longer ours, or was never taken.
        """
        if self._held is None:
            raise LeaseLostError(f"lease {self.name} was not acquired")
        for _ in range(3):
            wanted = {**self._held, "spec": {**self._held["spec"], "renewTime": self._stamp()}}
            try:
                self._held = self.cluster.replace(LEASES, wanted, self.namespace)
                return
            except ConflictError:
                found = self.cluster.find(LEASES, self.name, self.namespace)
                if found is None or not self._mine(found):
                    break
                self._held = found  # only somebody's label or our own lost answer
        self._held = None
        raise LeaseLostError(f"lease {self.name} of {self.holder} was taken over by another process; stop here")

    def release(self) -> None:
        """Give the lease back, if it is still ours."""
        if self._held is None:
            return
        found = self.cluster.find(LEASES, self.name, self.namespace)
        self._held = None
        if found is not None and self._mine(found):
            try:
                self.cluster.replace(LEASES, {**found, "spec": {**found["spec"], "holderIdentity": ""}}, self.namespace)
            except ConflictError:
                return  # taken over in this very moment: nothing of ours is left to give back

    def __enter__(self) -> Self:
        """Take the lease, or fail at once."""
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self.release()

    def _free(self, found: Body) -> bool:
        return found["spec"].get("holderIdentity", "") in ("", self.holder)

    def _abandoned(self, found: Body, since: float) -> bool:
        return time.monotonic() - since > float(found["spec"].get("leaseDurationSeconds", self.seconds))

    def _mine(self, found: Body) -> bool:
        return found["metadata"].get("annotations", {}).get(_TOKEN) == self._token

    def _take(self, found: Body | None) -> bool:
        now = self._stamp()
        metadata = {**(found or {}).get("metadata", {"name": self.name})}
        metadata["annotations"] = {**metadata.get("annotations", {}), _TOKEN: self._token}
        before = (found or {}).get("spec", {})
        same = before.get("holderIdentity") == self.holder
        spec = {
            "holderIdentity": self.holder,
            "leaseDurationSeconds": self.seconds,
            "acquireTime": before["acquireTime"] if same and "acquireTime" in before else now,
            "renewTime": now,
            "leaseTransitions": int(before.get("leaseTransitions", 0)) + (0 if same or found is None else 1),
        }
        body = {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}
        try:
            if found is None:
                self._held = self.cluster.create(LEASES, body, self.namespace)
            else:
                self._held = self.cluster.replace(LEASES, body, self.namespace)
        except (AlreadyExistsError, ConflictError):
            return False
        return True

    def _stamp(self) -> str:
        return self.cluster.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _version(found: Body) -> str:
    return found["metadata"]["resourceVersion"]

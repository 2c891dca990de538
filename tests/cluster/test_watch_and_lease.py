"""Watches and leases against a real API server, and against one that closes, forgets and has another clock."""

import json
import threading
import time
from datetime import timedelta

import pytest

from flywheel.components.cluster.lease import Lease, LeaseHeldError, LeaseLostError
from flywheel.components.cluster.resources import LEASES, Resource
from flywheel.components.cluster.watch import watch

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")


def follow(cluster, labels, seconds=20.0, **more):
    """Collect what a watch sees in a thread until the config map named `end` appears."""
    seen, failures = [], []

    def run():
        try:
            deadline = time.monotonic() + seconds
            for change in watch(cluster, CONFIG_MAPS, labels=labels, **more):
                if change is not None:
                    seen.append(
                        (change.kind, change.object["metadata"]["name"], change.object.get("data", {}).get("n"))
                    )
                    if change.object["metadata"]["name"].endswith("end"):
                        return
                assert time.monotonic() < deadline, "the watch saw no end"
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def finish():
        thread.join(seconds + 5)
        assert not failures, failures
        return seen

    return finish


def test_watch_sees_every_change(admin, config_map):
    admin.create(CONFIG_MAPS, config_map("w1", "w", n="0"))
    finish = follow(admin, "kind=w")
    time.sleep(0.5)
    admin.patch(CONFIG_MAPS, "w1", {"data": {"n": "1"}})
    admin.delete(CONFIG_MAPS, "w1", propagation="Background")
    admin.create(CONFIG_MAPS, config_map("w-end", "w"))
    assert finish() == [
        ("present", "w1", "0"),
        ("present", "w1", "1"),
        ("deleted", "w1", "1"),
        ("present", "w-end", None),
    ]


def test_watch_closed_in_the_middle_of_a_line_loses_nothing(admin, shaky, config_map):
    cluster, proxy, fault = shaky
    watching = lambda request: "watch=true" in request.path  # noqa: E731
    proxy.faults = [fault(watching, cut_stream_after=30), fault(watching, cut_before=True)]
    finish = follow(cluster, "kind=closed", look_every=2.0)
    time.sleep(0.3)
    for number in range(5):
        admin.create(CONFIG_MAPS, config_map(f"closed{number}", "closed", n=str(number)))
    admin.create(CONFIG_MAPS, config_map("closed-end", "closed"))
    seen = finish()
    assert [name for _, name, _ in seen] == [*(f"closed{number}" for number in range(5)), "closed-end"]
    assert sum(1 for request in proxy.requests if watching(request)) >= 3


@pytest.mark.parametrize("how", ["http", "event"])
def test_watch_410_lists_again(admin, shaky, how, config_map):
    cluster, proxy, fault = shaky
    watching = lambda request: "watch=true" in request.path  # noqa: E731
    kind = f"gone-{how}"
    admin.create(CONFIG_MAPS, config_map(f"{kind}-a", kind))

    def meanwhile():
        admin.delete(CONFIG_MAPS, f"{kind}-a", propagation="Background")
        admin.create(CONFIG_MAPS, config_map(f"{kind}-end", kind))

    proxy.faults = [fault(watching, status=410, before=meanwhile, reason="Expired", message="too old")]
    if how == "event":  # etcd's compaction reaches a watcher as an event of a stream that began well
        proxy.faults[0].status, proxy.faults[0].stream = 0, _gone_event()
    seen = follow(cluster, f"kind={kind}", look_every=2.0)()
    assert seen == [("present", f"{kind}-a", None), ("deleted", f"{kind}-a", None), ("present", f"{kind}-end", None)]


def _gone_event() -> bytes:
    status = {"kind": "Status", "code": 410, "message": "too old resource version", "reason": "Expired"}
    return json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"


def test_watch_ticks_when_nothing_happens(admin):
    changes = watch(admin, CONFIG_MAPS, labels="kind=nothing", look_every=1.0)
    started = time.monotonic()
    assert next(changes) is None
    assert time.monotonic() - started < 5


def test_lease_has_one_holder_and_a_retry_gets_it_back(admin):
    first, other = Lease(admin, "svc", "rollout-1", seconds=2), Lease(admin, "svc", "rollout-2", seconds=2)
    first.acquire()
    with pytest.raises(LeaseHeldError, match="held by rollout-1 since"):
        other.acquire()
    retry = Lease(admin, "svc", "rollout-1", seconds=2)
    retry.acquire()  # the same work after a kill
    with pytest.raises(LeaseLostError):
        first.renew()  # the process that was thought dead
    retry.renew()
    first.release()  # not its own any more: must not free it
    with pytest.raises(LeaseHeldError):
        other.acquire()
    retry.release()
    with other:
        assert admin.get(LEASES, "svc")["spec"]["holderIdentity"] == "rollout-2"
        assert admin.get(LEASES, "svc")["spec"]["leaseTransitions"] == 1
    assert admin.get(LEASES, "svc")["spec"]["holderIdentity"] == ""


def test_abandoned_lease_is_taken_over_after_it_was_seen_idle_whatever_the_clocks_say(admin):
    dead = Lease(admin, "skewed", "dead", seconds=1)
    dead.acquire()
    # a holder whose clock is an hour ahead: its stamp must not keep others out, nor one behind let them in
    for hours in (1, -1):
        stamp = (admin.now() + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        admin.patch(LEASES, "skewed", {"spec": {"renewTime": stamp, "holderIdentity": "dead"}})
        with pytest.raises(LeaseHeldError):
            Lease(admin, "skewed", f"heir{hours}", seconds=1).acquire()
        heir = Lease(admin, "skewed", f"heir{hours}", seconds=1)
        heir.acquire(wait_seconds=5)
        heir.renew()
    with pytest.raises(LeaseLostError, match="taken over"):
        dead.renew()


def test_a_lease_that_is_renewed_is_not_taken(admin):
    holder, other = Lease(admin, "alive", "a", seconds=1), Lease(admin, "alive", "b", seconds=1)
    holder.acquire()
    stop = threading.Event()

    def keep():
        while not stop.wait(0.3):
            holder.renew()

    thread = threading.Thread(target=keep)
    thread.start()
    try:
        with pytest.raises(LeaseHeldError):
            other.acquire(wait_seconds=3)
    finally:
        stop.set()
        thread.join()

"""The client of the API server against a real one, and against one that misbehaves."""

import json
import threading
import time
from datetime import timedelta

import pytest

from flywheel.components.cluster import errors, names
from flywheel.components.cluster.access import Right, account, demand_kind, demand_rights, missing_rights
from flywheel.components.cluster.lease import Lease, LeaseHeldError, LeaseLostError
from flywheel.components.cluster.resources import INFERENCE_SERVICES, LEASES, PODS, TRAIN_JOBS, Resource
from flywheel.components.cluster.strictness import dropped_fields
from flywheel.components.cluster.watch import wait_gone, watch

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
NAMESPACES = Resource("", "v1", "namespaces", "Namespace")
SPACE = "room"


@pytest.fixture(scope="module")
def space(connect):
    from kubernetes import client

    client.CoreV1Api(connect("test-admin")).create_namespace({"metadata": {"name": SPACE}})
    return SPACE


@pytest.fixture
def admin(space, cluster_for):
    return cluster_for("test-admin", namespace=space)


@pytest.fixture
def shaky(space, cluster_for, proxy):
    """A client behind the proxy, the proxy, and the class of its faults."""
    import sys

    return cluster_for("test-admin", proxy.url, namespace=space, seconds=3.0), proxy, sys.modules["faulty_proxy"].Fault


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def train_job(name):
    return {
        "apiVersion": TRAIN_JOBS.api_version,
        "kind": "TrainJob",
        "metadata": {"name": name},
        "spec": {"runtimeRef": {"name": "r"}, "trainer": {"numNodes": 1}},
    }


def test_create_read_patch_delete(admin):
    made = admin.create(CONFIG_MAPS, config_map("one", a="1"))
    assert admin.get(CONFIG_MAPS, "one")["metadata"]["uid"] == made["metadata"]["uid"]
    assert admin.patch(CONFIG_MAPS, "one", {"data": {"a": None, "b": "2"}})["data"] == {"b": "2"}
    jsonpatch = [{"op": "test", "path": "/data/b", "value": "2"}, {"op": "replace", "path": "/data/b", "value": "3"}]
    assert admin.patch(CONFIG_MAPS, "one", jsonpatch)["data"] == {"b": "3"}
    with pytest.raises(errors.AlreadyExistsError, match="configmaps in namespace room"):
        admin.create(CONFIG_MAPS, config_map("one"))
    assert not admin.delete(CONFIG_MAPS, "one", uid="another")
    assert admin.find(CONFIG_MAPS, "one") is not None
    assert admin.delete(CONFIG_MAPS, "one", uid=made["metadata"]["uid"], propagation="Background")
    assert wait_gone(admin, CONFIG_MAPS, "one", 10)
    assert not admin.delete(CONFIG_MAPS, "one")
    assert admin.find(CONFIG_MAPS, "one") is None


def test_apply_owns_its_fields_and_respects_others(admin):
    admin.apply(CONFIG_MAPS, {"metadata": {"name": "two"}, "data": {"a": "1", "mine": "x"}}, "first")
    admin.apply(CONFIG_MAPS, {"metadata": {"name": "two"}, "data": {"b": "2"}}, "second")
    after = admin.apply(CONFIG_MAPS, {"metadata": {"name": "two"}, "data": {"a": "1"}}, "first")
    assert after["data"] == {"a": "1", "b": "2"}  # what `first` no longer says is gone, what others say stays
    with pytest.raises(errors.ConflictError, match="first"):
        admin.apply(CONFIG_MAPS, {"metadata": {"name": "two"}, "data": {"a": "9"}}, "second")
    forced = admin.apply(CONFIG_MAPS, {"metadata": {"name": "two"}, "data": {"a": "9"}}, "second", force=True)
    assert forced["data"]["a"] == "9"


def test_conflict_409_a_merge_patch_can_be_compare_and_set(admin):
    seen = admin.create(CONFIG_MAPS, config_map("three", n="0"))
    version = {"resourceVersion": seen["metadata"]["resourceVersion"]}
    admin.patch(CONFIG_MAPS, "three", {"metadata": version, "data": {"n": "1"}})
    with pytest.raises(errors.ConflictError) as refused:
        admin.patch(CONFIG_MAPS, "three", {"metadata": version, "data": {"n": "2"}})
    assert refused.value.retryable


def test_update_loses_no_increment_of_four_writers(space, cluster_for, admin):
    admin.create(CONFIG_MAPS, config_map("count", n="0"))

    def add():
        one = cluster_for("test-admin", namespace=space)
        for _ in range(5):
            one.update(
                CONFIG_MAPS, "count", lambda seen: {**seen, "data": {"n": str(int(seen["data"]["n"]) + 1)}}, tries=100
            )

    threads = [threading.Thread(target=add) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert admin.get(CONFIG_MAPS, "count")["data"]["n"] == "20"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_5xx_is_asked_again(shaky, status):
    cluster, proxy, fault = shaky
    proxy.faults = [fault(lambda _: True, status=status, times=2)]
    assert cluster.list(CONFIG_MAPS)["kind"] == "ConfigMapList"
    assert len(proxy.requests) == 3


def test_5xx_for_ever_ends_with_an_error_that_says_so(shaky):
    cluster, proxy, fault = shaky
    proxy.faults = [fault(lambda _: True, status=503, message="etcd is down", times=99)]
    started = time.monotonic()
    with pytest.raises(errors.UnavailableError, match="cannot list configmaps in namespace room.*etcd is down"):
        cluster.list(CONFIG_MAPS)
    assert 2.0 < time.monotonic() - started < 6.0


def test_429_waits_as_long_as_it_is_told(shaky):
    cluster, proxy, fault = shaky
    proxy.faults = [fault(lambda _: True, status=429, headers={"Retry-After": "1"})]
    started = time.monotonic()
    cluster.list(CONFIG_MAPS)
    assert time.monotonic() - started >= 1.0
    assert len(proxy.requests) == 2


def test_lost_answer_of_a_create_is_an_existing_object_and_not_two(shaky):
    cluster, proxy, fault = shaky
    proxy.faults = [fault(lambda request: request.method == "POST", cut_after=True)]
    with pytest.raises(errors.AlreadyExistsError):
        cluster.create(CONFIG_MAPS, config_map("lost"))
    assert cluster.get(CONFIG_MAPS, "lost")


def test_closed_connection_and_half_an_answer_are_asked_again(shaky):
    cluster, proxy, fault = shaky
    proxy.faults = [fault(lambda _: True, cut_before=True), fault(lambda _: True, cut_stream_after=40)]
    assert cluster.list(CONFIG_MAPS)["kind"] == "ConfigMapList"
    assert len(proxy.requests) == 3


def test_no_server_at_all(space, cluster_for):
    from http.server import BaseHTTPRequestHandler, HTTPServer

    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        port = closed.server_address[1]
    with pytest.raises(errors.UnavailableError, match="no answer from the API server"):
        cluster_for("test-admin", f"http://127.0.0.1:{port}", seconds=0.2).list(CONFIG_MAPS)


def test_expired_token_is_read_again(space, proxy, kubeconfig, monkeypatch):
    from flywheel.components.cluster.connection import connect

    path = kubeconfig(proxy.url, "expired-token", space)
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))
    cluster = connect()
    assert cluster.namespace == space
    with pytest.raises(errors.NotAuthenticatedError, match="does not accept the token"):
        cluster.list(CONFIG_MAPS)
    tried = len(proxy.requests)
    assert tried == 4
    path.with_name("token").write_text("test-admin")
    assert cluster.list(CONFIG_MAPS)["kind"] == "ConfigMapList"
    assert [request.token for request in proxy.requests[tried:]] == ["expired-token", "test-admin"]


def test_no_cluster_says_what_to_do(monkeypatch, tmp_path):
    from flywheel.components.cluster.connection import connect

    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    with pytest.raises(errors.NoClusterError, match="KUBECONFIG"):
        connect()


def test_rbac_denied_names_account_verb_and_resource(cluster_for, space):
    steps = cluster_for("flywheel-steps", namespace=space)
    with pytest.raises(errors.AccessDeniedError) as refused:
        steps.create(TRAIN_JOBS, train_job("denied"))
    assert "service account flywheel-steps of namespace flywheel may not create trainjobs" in str(refused.value)
    assert "in namespace room" in str(refused.value)
    assert "Role" in str(refused.value)
    assert account(steps) == "service account flywheel-steps of namespace flywheel"
    rights = [Right("create", TRAIN_JOBS), Right("get", PODS, "log")]
    assert missing_rights(steps, rights) == rights
    with pytest.raises(errors.AccessDeniedError, match=r"create trainjobs.trainer.kubeflow.org, get pods/log"):
        demand_rights(steps, rights)


def test_admin_lacks_nothing(admin):
    demand_rights(admin, [Right("create", TRAIN_JOBS), Right("delete", PODS)])
    assert "administrator" in account(admin)


def test_quota_403_is_no_missing_right(shaky):
    cluster, proxy, fault = shaky
    told = 'pods "x" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=8, limited: 4'
    proxy.faults = [fault(lambda _: True, status=403, message=told, reason="Forbidden")]
    with pytest.raises(errors.QuotaExceededError, match="exceeded quota: gpus") as refused:
        cluster.create(CONFIG_MAPS, config_map("quota"))
    assert refused.value.retryable
    assert len(proxy.requests) == 1


def test_absent_kind_and_absent_object_are_two_things(admin):
    with pytest.raises(errors.KindMissingError, match="does not serve example.org/v1 Thing; install things"):
        admin.list(Resource("example.org", "v1", "things", "Thing", "install things"))
    with pytest.raises(errors.NotFoundError, match="nobody"):
        admin.get(CONFIG_MAPS, "nobody")
    with pytest.raises(errors.KindMissingError, match="serves no Thing \\(example.org/v1\\); install things"):
        demand_kind(admin, Resource("example.org", "v1", "things", "Thing"))
    demand_kind(admin, TRAIN_JOBS)
    other = Resource("trainer.kubeflow.org", "v2", "trainjobs", "TrainJob", "upgrade")
    with pytest.raises(errors.KindMissingError, match="in v1alpha1, not in v2; upgrade"):
        demand_kind(admin, other)


def test_unknown_field_is_refused_though_the_server_drops_it(admin):
    body = train_job("strict")
    admin.check(TRAIN_JOBS, body)
    assert admin.find(TRAIN_JOBS, "strict") is None  # only checked
    body["spec"]["podTemplateOverrides"] = [{"targetJobs": [{"name": "node"}]}]
    with pytest.raises(errors.RejectedError, match=r"does not know the field spec.podTemplateOverrides.*older"):
        admin.check(TRAIN_JOBS, body)
    body = train_job("strict")
    body["spec"]["trainer"]["numNodes"] = "two"
    with pytest.raises(errors.RejectedError, match="numNodes"):
        admin.check(TRAIN_JOBS, body)


def test_dropped_fields_sees_lists_and_ignores_nothing_sent():
    sent = {"a": [{"b": 1, "c": 2}, 3], "d": {}, "e": None, "f": {"g": 1}}
    assert dropped_fields(sent, sent | {"more": 1}) == []
    assert dropped_fields(sent, {"a": [{"b": 1}, 3], "d": {}, "f": None}) == ["a[0].c", "f"]
    assert dropped_fields(sent, {"a": [], "d": {}, "f": {"g": 1}}) == ["a"]


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


def labelled(name, kind, **data):
    body = config_map(name, **data)
    body["metadata"]["labels"] = {"kind": kind}
    return body


def test_watch_sees_every_change(admin):
    admin.create(CONFIG_MAPS, labelled("w1", "w", n="0"))
    finish = follow(admin, "kind=w")
    time.sleep(0.5)
    admin.patch(CONFIG_MAPS, "w1", {"data": {"n": "1"}})
    admin.delete(CONFIG_MAPS, "w1", propagation="Background")
    admin.create(CONFIG_MAPS, labelled("w-end", "w"))
    assert finish() == [
        ("present", "w1", "0"),
        ("present", "w1", "1"),
        ("deleted", "w1", "1"),
        ("present", "w-end", None),
    ]


def test_watch_closed_in_the_middle_of_a_line_loses_nothing(admin, shaky):
    cluster, proxy, fault = shaky
    watching = lambda request: "watch=true" in request.path  # noqa: E731
    proxy.faults = [fault(watching, cut_stream_after=30), fault(watching, cut_before=True)]
    finish = follow(cluster, "kind=closed", look_every=2.0)
    time.sleep(0.3)
    for number in range(5):
        admin.create(CONFIG_MAPS, labelled(f"closed{number}", "closed", n=str(number)))
    admin.create(CONFIG_MAPS, labelled("closed-end", "closed"))
    seen = finish()
    assert [name for _, name, _ in seen] == [*(f"closed{number}" for number in range(5)), "closed-end"]
    assert sum(1 for request in proxy.requests if watching(request)) >= 3


@pytest.mark.parametrize("how", ["http", "event"])
def test_watch_410_lists_again(admin, shaky, how):
    cluster, proxy, fault = shaky
    watching = lambda request: "watch=true" in request.path  # noqa: E731
    kind = f"gone-{how}"
    admin.create(CONFIG_MAPS, labelled(f"{kind}-a", kind))

    def meanwhile():
        admin.delete(CONFIG_MAPS, f"{kind}-a", propagation="Background")
        admin.create(CONFIG_MAPS, labelled(f"{kind}-end", kind))

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


def test_server_time_is_the_servers(admin, monkeypatch):
    here = admin.now()
    monkeypatch.setattr("time.time", lambda: 0.0)  # this machine's clock is wrong
    assert abs((admin.now() - here).total_seconds()) < 2


def test_names_fit_and_stay_unique():
    long = names.object_name("A very long Name of a Team's Service, with everything " * 3, "0123456789ab", 40)
    assert len(long) <= 40 and long.endswith("-0123456789ab")
    assert names.check_name(long, "job", 40) == long
    assert names.object_name("7b", "ab12").startswith("n7b-")
    assert names.object_name("--", "ab12") == "n-ab12"
    with pytest.raises(ValueError, match="cannot be built"):
        names.object_name("a", "0" * 62)
    with pytest.raises(ValueError, match="has 64 characters; Kubernetes takes at most 63"):
        names.check_name("a" * 64, "service")
    with pytest.raises(ValueError, match="lower case"):
        names.check_name("Service_1", "service")
    assert names.label_value("run-1") == "run-1"
    assert names.label_value("run/1") != names.label_value("run:1")
    assert len(names.label_value("x" * 200)) <= 63


def test_every_kind_we_name_is_served(admin):
    for resource in (TRAIN_JOBS, INFERENCE_SERVICES):
        demand_kind(admin, resource)

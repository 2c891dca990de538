"""The client of the API server against a real one, and against one that misbehaves."""

import threading
import time

import pytest

from flywheel.components.cluster import errors, names
from flywheel.components.cluster.access import Right, account, demand_kind, demand_rights, missing_rights
from flywheel.components.cluster.resources import INFERENCE_SERVICES, PODS, TRAIN_JOBS, Resource
from flywheel.components.cluster.strictness import dropped_fields
from flywheel.components.cluster.watch import wait_gone

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")


def train_job(name):
    return {
        "apiVersion": TRAIN_JOBS.api_version,
        "kind": "TrainJob",
        "metadata": {"name": name},
        "spec": {"runtimeRef": {"name": "r"}, "trainer": {"numNodes": 1}},
    }


def test_create_read_patch_delete(admin, config_map):
    made = admin.create(CONFIG_MAPS, config_map("one", a="1"))
    assert admin.get(CONFIG_MAPS, "one")["metadata"]["uid"] == made["metadata"]["uid"]
    assert admin.patch(CONFIG_MAPS, "one", {"data": {"a": None, "b": "2"}})["data"] == {"b": "2"}
    jsonpatch = [{"op": "test", "path": "/data/b", "value": "2"}, {"op": "replace", "path": "/data/b", "value": "3"}]
    assert admin.patch(CONFIG_MAPS, "one", jsonpatch)["data"] == {"b": "3"}
    with pytest.raises(errors.AlreadyExistsError, match=f"configmaps in namespace {admin.namespace}"):
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


def test_conflict_409_a_merge_patch_can_be_compare_and_set(admin, config_map):
    seen = admin.create(CONFIG_MAPS, config_map("three", n="0"))
    version = {"resourceVersion": seen["metadata"]["resourceVersion"]}
    admin.patch(CONFIG_MAPS, "three", {"metadata": version, "data": {"n": "1"}})
    with pytest.raises(errors.ConflictError) as refused:
        admin.patch(CONFIG_MAPS, "three", {"metadata": version, "data": {"n": "2"}})
    assert refused.value.retryable


def test_update_loses_no_increment_of_four_writers(space, cluster_for, admin, config_map):
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
    with pytest.raises(
        errors.UnavailableError, match=f"cannot list configmaps in namespace {cluster.namespace}.*etcd is down"
    ):
        cluster.list(CONFIG_MAPS)
    assert 2.0 < time.monotonic() - started < 6.0


def test_429_waits_as_long_as_it_is_told(shaky):
    cluster, proxy, fault = shaky
    proxy.faults = [fault(lambda _: True, status=429, headers={"Retry-After": "1"})]
    started = time.monotonic()
    cluster.list(CONFIG_MAPS)
    assert time.monotonic() - started >= 1.0
    assert len(proxy.requests) == 2


def test_lost_answer_of_a_create_is_an_existing_object_and_not_two(shaky, config_map):
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
    assert f"in namespace {space}" in str(refused.value)
    assert "Role" in str(refused.value)
    assert account(steps) == "service account flywheel-steps of namespace flywheel"
    rights = [Right("create", TRAIN_JOBS), Right("get", PODS, "log")]
    assert missing_rights(steps, rights) == rights
    with pytest.raises(errors.AccessDeniedError, match=r"create trainjobs.trainer.kubeflow.org, get pods/log"):
        demand_rights(steps, rights)


def test_admin_lacks_nothing(admin):
    demand_rights(admin, [Right("create", TRAIN_JOBS), Right("delete", PODS)])
    assert "administrator" in account(admin)


def test_quota_403_is_no_missing_right(shaky, config_map):
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
        demand_kind(admin, Resource("example.org", "v1", "things", "Thing", "install things"))
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

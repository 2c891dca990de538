"""The look at a real API server before a run: kinds, rights, objects, GPUs and quotas; every miss says what to do."""

import pytest

from flywheel.components.cluster.resources import INFERENCE_SERVICES, TRAINING_RUNTIMES
from flywheel.components.preflight.cluster.demands import Wanted, look
from flywheel.components.training.cluster.settings import TrainingCluster

pytestmark = pytest.mark.slow
SPACE = "preflight"


@pytest.fixture(scope="module")
def space(api_server, connect):
    """A namespace of its own, with an account that may nothing there."""
    from kubernetes import client

    core = client.CoreV1Api(connect("test-admin"))
    core.create_namespace({"metadata": {"name": SPACE}})
    return core


@pytest.fixture
def admin(space, cluster_for):
    cluster = cluster_for("test-admin")
    cluster.namespace = SPACE
    return cluster


def states(found):
    return {one.what: one.state for one in found}


def test_what_is_missing_is_named_with_what_to_do(admin):
    training = TrainingCluster(gpus_per_node=8, nodes=2, queue="gpu-training", secret_environment={"KEY": "keys/key"})
    found = look(admin, Wanted(training, "assistant", ("flywheel-pseudonym-key",)))
    told = states(found)
    assert told["kind TrainJob (trainer.kubeflow.org/v1alpha1)"] == "ready"
    for what in (
        f"TrainingRuntime flywheel-deepspeed in {SPACE}",
        f"LocalQueue gpu-training in {SPACE}",
        f"PersistentVolumeClaim flywheel-workspace in {SPACE}",
        f"InferenceService assistant in {SPACE}",
        f"Secret keys in {SPACE}",
        f"Secret flywheel-pseudonym-key in {SPACE}",
    ):
        assert told[what] == "missing", what
    assert all(one.remedy for one in found if one.state == "missing")
    assert told["2 node(s) with 8 x nvidia.com/gpu"] == "unknown", "a queue may wait for nodes"


def test_account_without_rights_is_told_each_one(space, cluster_for):
    cluster = cluster_for("flywheel-steps")
    cluster.namespace = SPACE
    found = look(cluster, Wanted(TrainingCluster(), "assistant"))
    lacking = [one for one in found if one.what.startswith("right:") and one.state == "missing"]
    assert len(lacking) >= 12
    assert any(one.what == "right: create trainjobs.trainer.kubeflow.org" for one in lacking)
    assert all("flywheel-steps" in one.words for one in lacking)
    assert {one.remedy.split()[3] for one in lacking} == {"flywheel-launcher", "flywheel-deployer"}
    assert states(found)["1 node(s) with 1 x nvidia.com/gpu"] == "unknown"


def test_nodes_and_quotas_are_counted(admin, space):
    from kubernetes import client

    labels = {"flywheel/pool": "gpu"}
    for number, gpus in enumerate((8, 8, 4)):
        body = client.V1Node(metadata=client.V1ObjectMeta(name=f"gpu-{number}", labels=labels))
        space.create_node(body)
        status = {"allocatable": {"nvidia.com/gpu": str(gpus)}, "capacity": {"nvidia.com/gpu": str(gpus)}}
        space.patch_node_status(f"gpu-{number}", {"status": status})
    wide = TrainingCluster(nodes=2, gpus_per_node=8, node_selector=labels)
    assert states(look(admin, Wanted(wide)))["2 node(s) with 8 x nvidia.com/gpu"] == "ready"
    wider = wide.model_copy(update={"nodes": 3})
    (lack,) = [one for one in look(admin, Wanted(wider)) if one.what.startswith("3 node(s)")]
    assert (lack.state, lack.words) == ("missing", "2 of 3 nodes fit (flywheel/pool=gpu)")
    space.create_namespaced_resource_quota(
        SPACE, {"metadata": {"name": "gpus"}, "spec": {"hard": {"requests.nvidia.com/gpu": "10"}}}
    )
    (quota,) = [one for one in look(admin, Wanted(wide)) if one.what.startswith("quota")]
    assert quota.state == "missing"
    assert "10 left of 10 (gpus)" in quota.words
    enough = wide.model_copy(update={"nodes": 1})
    assert states(look(admin, Wanted(enough)))[f"quota for 8 x nvidia.com/gpu in {SPACE}"] == "ready"


def test_objects_that_are_there_are_ready(admin):
    runtime = {
        "apiVersion": TRAINING_RUNTIMES.api_version,
        "kind": "TrainingRuntime",
        "metadata": {"name": "flywheel-deepspeed"},
        "spec": {"template": {"spec": {"replicatedJobs": []}}},
    }
    admin.create(TRAINING_RUNTIMES, runtime)
    service = {
        "apiVersion": INFERENCE_SERVICES.api_version,
        "kind": "InferenceService",
        "metadata": {"name": "assistant"},
        "spec": {
            "predictor": {"model": {"modelFormat": {"name": "huggingface"}, "storageUri": "s3://m/1", "name": ""}}
        },
    }
    admin.create(INFERENCE_SERVICES, service)
    told = {one.what: one for one in look(admin, Wanted(TrainingCluster(gpus_per_node=0), "assistant"))}
    assert told[f"TrainingRuntime flywheel-deepspeed in {SPACE}"].state == "ready"
    waiting = told[f"InferenceService assistant in {SPACE}"]
    assert (waiting.state, waiting.words) == ("missing", "is not ready (no condition Ready yet)")
    assert not any("nvidia" in what for what in told), "training on CPU needs no GPU"


def test_kind_that_the_cluster_lacks(admin, monkeypatch):
    from dataclasses import replace

    from flywheel.components.preflight.cluster import demands

    newer = replace(demands.TRAIN_JOBS, version="v2")
    monkeypatch.setattr(demands, "TRAIN_JOBS", newer)
    (kind, *_) = look(admin, Wanted(TrainingCluster(gpus_per_node=0)))
    assert kind.state == "missing"
    assert "v1alpha1" in kind.words
    assert "install Kubeflow Trainer" in kind.remedy

"""The step's `cluster` parameter: what is refused, and in which words."""

import pytest

from flywheel.components.training.cluster.launcher import backend_of, quantity
from flywheel.components.training.cluster.settings import TrainingCluster


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"gpuPool": "x"}, "gpuPool: Extra inputs are not permitted.*Known options: namespace, runtime"),
        ({"nodes": 0}, "nodes: .*greater than or equal to 1"),
        ({"nodes": 1.5}, "nodes: .*integer"),
        ({"queue": "GPU_Queue"}, "queue 'GPU_Queue': use lower case"),
        ({"memory": "64 GB"}, "'64 GB' is no Kubernetes quantity"),
        ({"environment": {"PET_NNODES": "2"}}, "PET_NNODES: PET_ variables belong to Kubeflow Trainer"),
        ({"secret_environment": {"TOKEN": "secret"}}, "'secret' must be `secret/key`"),
        ({"exchange": "/data"}, "'/data' is no URI"),
        ({"exchange": "s3://b/p", "nodes": 2}, "exchange works with one node"),
        ({"claim": ""}, "give a claim with a workspace"),
        ({"workspace": "workspace"}, "absolute mount path"),
        ({"gpus_per_node": 4, "processes_per_node": 2}, "a training process takes one GPU"),
        ({"tolerations": [{"operator": "Maybe"}]}, "tolerations.0.operator"),
    ],
)
def test_a_wrong_option_is_named(options, words):
    with pytest.raises(ValueError, match=words) as refused:
        TrainingCluster.of(options)
    assert str(refused.value).startswith("cluster: ") and "README" in str(refused.value)


def test_whole_numbers_may_come_as_floats():
    assert TrainingCluster.of({"nodes": 2.0, "gpus_per_node": 8.0}).nodes == 2


def test_processes_follow_gpus_or_are_given_on_cpu():
    assert TrainingCluster.of({"gpus_per_node": 8}).per_node() == 8
    assert TrainingCluster.of({"gpus_per_node": 0}).per_node() == 1
    assert TrainingCluster.of({"gpus_per_node": 0, "processes_per_node": 4}).per_node() == 4


def test_quantities_are_bytes():
    assert quantity("64Gi") == 64 * 2**30 and quantity("1.5G") == 1.5e9 and quantity("1000") == 1000


def test_a_missing_workspace_says_what_to_mount(tmp_path, monkeypatch):
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(
        '{"clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}], "users": [{"name": "u", "user": {}}],'
        ' "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}], "current-context": "x"}'
    )
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ValueError, match="mount the claim flywheel-workspace there"):
        backend_of("trainjob", {"workspace": str(tmp_path / "none")})
    with pytest.raises(ValueError, match="cannot be opened"):
        backend_of("trainjob", {"exchange": "gopher://x/y"})


def test_other_launchers_have_no_backend():
    assert backend_of("local", {}) is None and backend_of("magic", {}) is None

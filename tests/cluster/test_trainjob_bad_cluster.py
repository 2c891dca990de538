"""The launcher before a cluster that is not what it should be: rights, CRDs, versions, faults, tokens, names."""

import sys
import threading

import pytest
import yaml

from flywheel.components.cluster import errors
from flywheel.components.cluster.resources import TRAIN_JOBS, TRAINING_RUNTIMES
from flywheel.components.training.cluster import manifest
from flywheel.components.training.cluster.settings import TrainingCluster


def test_rbac_denied_names_verb_resource_and_account(run):
    done = run(None, account="flywheel-steps")
    assert isinstance(done.error, errors.AccessDeniedError)
    for word in (
        "service account flywheel-steps",
        "create trainjobs.trainer.kubeflow.org",
        "delete trainjobs",
        run.bench.space,
    ):
        assert word in str(done.error)
    assert not run.admin.list(TRAIN_JOBS)["items"]


def test_crd_absent_says_what_to_install(trainjobs, run):
    with trainjobs.crd(lambda crd: None):
        done = run(None)
    assert isinstance(done.error, errors.KindMissingError), done.error
    assert "serves no TrainJob" in str(done.error) and "install Kubeflow Trainer 2.2 or newer" in str(done.error)


def test_crd_of_another_version_says_which(trainjobs, run):
    def newer(crd):
        crd["spec"]["versions"][0]["name"] = "v2"
        return crd

    with trainjobs.crd(newer):
        done = run(None)
    assert isinstance(done.error, errors.KindMissingError), done.error
    assert "serves TrainJob of trainer.kubeflow.org in v2, not in v1alpha1" in str(done.error)


def test_older_crd_that_drops_our_volume_is_refused(trainjobs, run):
    """Trainer 2.1 has the same version name, and podTemplateOverrides where 2.2 has runtimePatches."""

    def older(crd):
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        del schema["properties"]["spec"]["properties"]["runtimePatches"]
        return crd

    with trainjobs.crd(older):
        done = run(None)
        assert isinstance(done.error, errors.RejectedError), done.error
        assert "does not know the field spec.runtimePatches" in str(done.error) and "2.2 or newer" in str(done.error)
        assert not run.admin.list(TRAIN_JOBS)["items"]


def test_missing_runtime_says_what_to_apply(run):
    done = run(None, runtime="other-runtime")
    assert f"no TrainingRuntime other-runtime in namespace {run.bench.space}" in str(done.error)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_429_and_5xx_at_every_request_are_survived(run, status):
    fault = sys.modules["faulty_proxy"].Fault
    seen = set()

    def first_time(request):
        key = (request.method, request.path.split("?")[0])
        return key not in seen and not seen.add(key)

    headers = {"Retry-After": "0"} if status == 429 else {}
    run.proxy.faults = [fault(first_time, status=status, headers=headers, times=1000)]
    done = run(run.fake.succeed, url=run.proxy.url)
    assert done.launched is not None, done.error
    assert len(run.trainer.made) == 1 and len(seen) >= 8


def test_lost_answer_at_every_request_makes_no_second_job(run):
    fault = sys.modules["faulty_proxy"].Fault
    seen = set()

    def first_time(request):
        key = (request.method, request.path)
        return key not in seen and not seen.add(key)

    run.proxy.faults = [fault(first_time, cut_after=True, times=1000)]
    done = run(run.fake.succeed, url=run.proxy.url)
    assert done.launched is not None, done.error
    assert len(run.trainer.made) == 1


def watching(request):
    return "watch=true" in request.path


def test_watch_closed_again_and_again(run):
    fault = sys.modules["faulty_proxy"].Fault
    run.proxy.faults = [fault(watching, cut_stream_after=50, times=2), fault(watching, cut_before=True, times=2)]
    done = run(run.fake.succeed, url=run.proxy.url)
    assert done.launched is not None, done.error


def test_watch_410(run):
    fault = sys.modules["faulty_proxy"].Fault
    run.proxy.faults = [fault(watching, status=410, reason="Expired", times=2)]
    done = run(run.fake.succeed, url=run.proxy.url)
    assert done.launched is not None, done.error


def test_expired_token_while_waiting(run, kubeconfig, monkeypatch):
    path = kubeconfig(run.proxy.url, "flywheel-launcher", run.bench.space)
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    fault = sys.modules["faulty_proxy"].Fault
    # the server refuses the old token from the first watch on; the file has a new one by then
    path.with_name("token").write_text("old")
    run.proxy.faults = [fault(lambda request: request.token == "old", status=401, times=2)]

    def renew():
        run.wait(lambda: sum(request.token == "old" for request in run.proxy.requests) >= 2)
        path.with_name("token").write_text("flywheel-launcher")

    renewer = threading.Thread(target=renew)
    renewer.start()
    done = run(run.fake.succeed, connect=True)
    renewer.join()
    assert done.launched is not None, done.error


def test_api_server_away_leaves_the_job_and_says_so(run):
    fault = sys.modules["faulty_proxy"].Fault
    run.proxy.faults = [fault(watching, status=503, times=1000)]
    done = run(run.fake.hang, url=run.proxy.url, seconds=1.0)
    assert done.error.reason == "API_SERVER_AWAY" and done.error.kind == "retryable"
    assert "run this step again to adopt it" in str(done.error)
    assert len(run.admin.list(TRAIN_JOBS)["items"]) == 1


def test_every_object_we_send_passes_the_real_schemas_strictly(trainjobs, run):
    job = run.job()
    placed = manifest.Placed("/workspace/job.json", "sft-strict", "a" * 32)
    for options in (
        {"workspace": "/workspace"},
        {"nodes": 16, "queue": "q", "tolerations": [{"key": "a", "value": "b"}], "node_selector": {"a": "b"}},
        {"exchange": "s3://bucket/prefix", "secret_environment": {"AWS_SECRET_ACCESS_KEY": "s3/key"}},
        {"gpus_per_node": 0, "processes_per_node": 2},
    ):
        run.admin.check(TRAIN_JOBS, manifest.train_job(placed, job, TrainingCluster.of(options)))
    text = (trainjobs.manifests / "base" / "training_runtime.yaml").read_text()
    runtime = yaml.safe_load(text)
    runtime["metadata"]["name"] = "strict"
    run.admin.check(TRAINING_RUNTIMES, runtime)


def test_names_too_long(run):
    job = run.job()
    name = manifest.job_name(job, "0123456789abcdef" * 2)
    assert len(f"{name}-node-0-1023-abcde") <= 63
    with pytest.raises(ValueError, match="queue 'q+' has 64 characters; Kubernetes takes at most 63"):
        TrainingCluster.of({"queue": "q" * 64})
    done = run(run.fake.succeed, run_id="a run id that no label can hold: " + "x" * 300)
    assert done.launched is not None, done.error
    assert len(run.only_job()["metadata"]["labels"][manifest.RUN]) <= 63

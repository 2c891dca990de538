"""The trainjob launcher on a real API server, with the controller played by the test: creation, adoption, failures."""

import json
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

from flywheel.components.cluster import errors
from flywheel.components.cluster.resources import PODS, TRAIN_JOBS, TRAINING_RUNTIMES
from flywheel.components.training.cluster import manifest
from flywheel.components.training.cluster.settings import TrainingCluster
from flywheel.components.training.failure import TrainingFailed

SPACE = "train"
DIGEST = "registry.example/other@sha256:" + "0" * 64


@pytest.fixture
def run(trainjobs, tmp_path):
    """Launch a job against a script; gives the launched (or the error), what was said, and the fake controller."""
    made = trainjobs.runner(tmp_path)
    yield made
    made.close()


def only_job(run):
    [job] = run.admin.list(TRAIN_JOBS)["items"]
    return job


def test_a_job_is_created_trained_and_judged_by_its_result(run):
    def paced(trainer, job):
        trainer.pace = 1.2
        run.fake.succeed(trainer, job)

    done = run(paced, queue="", nodes=2, gpus_per_node=4)
    assert done.launched is not None, done.error
    assert not done.launched.adopted and done.launched.result.rows_trained == 8
    job = only_job(run)
    assert job["spec"]["runtimeRef"] == {
        "apiGroup": "trainer.kubeflow.org",
        "kind": "TrainingRuntime",
        "name": "flywheel-deepspeed",
    }
    trainer = job["spec"]["trainer"]
    assert (trainer["numNodes"], trainer["numProcPerNode"]) == (2, 4)
    assert trainer["resourcesPerNode"]["limits"]["nvidia.com/gpu"] == "4"
    assert trainer["args"][:2] == ["-m", "flywheel.components.training.run"]  # as the local launcher
    assert job["metadata"]["name"] == done.launched.details["name"]
    assert any("was created" in line for line in done.said)
    assert any("step 2/4" in line for line in done.said)
    assert any(line.endswith(": 1 Running pods") for line in done.said)
    kept = done.work / "launch"
    assert yaml.safe_load((kept / "trainjob.yaml").read_text())["metadata"]["name"] == job["metadata"]["name"]
    assert json.loads((kept / "pods.json").read_text())[0]["phase"] in ("Running", "Succeeded")
    assert (kept / "events.jsonl").exists()


def test_placement_queue_and_volume_are_the_users(run):
    done = run(
        run.fake.succeed,
        queue="gpu-training",
        priority="high",
        node_selector={"pool": "gpu-h200"},
        tolerations=[{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        service_account="flywheel-trainer",
        image_pull_secrets=["pull"],
        environment={"NCCL_DEBUG": "WARN"},
        secret_environment={"TOKEN": "secret/key"},
        image=DIGEST,
        timeout_seconds=100,
    )
    assert done.launched is not None, done.error
    job = only_job(run)
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpu-training"
    assert job["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] == "high"
    assert job["spec"]["suspend"] is True  # Kueue resumes it
    assert job["spec"]["activeDeadlineSeconds"] == 100
    [patch] = job["spec"]["runtimePatches"]
    [replicated] = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    pod = replicated["template"]["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"pool": "gpu-h200"}
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert pod["serviceAccountName"] == "flywheel-trainer" and pod["imagePullSecrets"] == [{"name": "pull"}]
    assert pod["volumes"] == [{"name": "workspace", "persistentVolumeClaim": {"claimName": "flywheel-workspace"}}]
    assert pod["containers"][0]["volumeMounts"][0]["mountPath"] == str(run.workspace)
    env = {one["name"]: one for one in job["spec"]["trainer"]["env"]}
    assert env["NCCL_DEBUG"]["value"] == "WARN" and env["HF_HUB_OFFLINE"]["value"] == "1"
    assert env["TOKEN"]["valueFrom"]["secretKeyRef"] == {"name": "secret", "key": "key"}
    assert job["spec"]["trainer"]["image"] == DIGEST


def test_a_retry_adopts_the_running_job(run):
    proceed = threading.Event()

    def slow(trainer, job):
        trainer.running(job)
        assert proceed.wait(30)
        trainer.result(job)
        trainer.complete(job)

    first = run.in_thread(slow)
    run.wait(lambda: run.admin.list(TRAIN_JOBS)["items"])
    second = run.in_thread(None)
    run.wait(lambda: any("is adopted" in line for line in second.said))
    proceed.set()
    assert first.finish().launched.result.digest == second.finish().launched.result.digest
    assert len(run.trainer.made) == 1


def test_a_retry_takes_over_the_finished_job_without_asking_for_another(run):
    first = run(run.fake.succeed)
    again = run(None)
    assert again.launched.adopted and again.launched.result == first.launched.result
    assert len(run.trainer.made) == 1
    assert any("has been done" in line for line in again.said)


def test_another_run_of_the_same_job_adopts_it_and_answers_for_it(run):
    proceed = threading.Event()

    def slow(trainer, job):
        trainer.running(job)
        assert proceed.wait(30)
        trainer.result(job)
        trainer.complete(job)

    first = run.in_thread(slow)
    run.wait(lambda: run.admin.list(TRAIN_JOBS)["items"])
    second = run.in_thread(None, run_id="other/run")
    run.wait(lambda: only_job(run)["metadata"]["annotations"][manifest.RUN] == "other/run")
    proceed.set()
    first.finish(), second.finish()
    assert len(run.trainer.made) == 1


def test_409_with_another_fingerprint_is_an_error_and_nothing_is_touched(run):
    name = run.name_of()
    body = {
        "apiVersion": TRAIN_JOBS.api_version,
        "kind": "TrainJob",
        "metadata": {"name": name, "annotations": {manifest.FINGERPRINT: "f" * 32}},
        "spec": {"runtimeRef": {"name": "other"}},
    }
    before = run.admin.create(TRAIN_JOBS, body)
    done = run(None)
    assert isinstance(done.error, TrainingFailed) and done.error.reason == "NAME_TAKEN" and done.error.kind == "fatal"
    assert f"TrainJob {name} exists with another fingerprint" in str(done.error)
    assert only_job(run)["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def test_another_image_is_another_job_and_the_same_digest_elsewhere_is_not(run):
    digest = "sha256:" + "1" * 64
    assert run.name_of(image=f"a.example/x@{digest}") == run.name_of(image=f"b.example/y@{digest}")
    assert run.name_of(image=f"a.example/x@{digest}") != run.name_of(image=DIGEST)
    assert run.name_of() == run.name_of(image=run.runtime_image)


def test_a_result_counts_though_the_job_says_failed(run):
    def aborts_after_its_work(trainer, job):
        trainer.running(job)
        trainer.result(job)
        trainer.failed(job, status=134)
        trainer.fail(job)

    done = run(aborts_after_its_work)
    assert done.launched is not None, done.error


def test_complete_without_a_result_is_no_success(run):
    def says_so_only(trainer, job):
        trainer.running(job)
        trainer.complete(job)

    done = run(says_so_only)
    assert done.error.reason == "RESULT_MISSING" and done.error.kind == "fatal"
    assert "left no result" in str(done.error) and "claim flywheel-workspace" in str(done.error)


def test_a_result_whose_model_was_damaged_is_no_success(run):
    def damages(trainer, job):
        trainer.result(job)
        (Path(trainer.training_job(job).work) / "export" / "model.safetensors").write_bytes(b"half")
        trainer.complete(job)

    done = run(damages)
    assert done.error.reason == "RESULT_BROKEN"


def failing(**settings):
    """A script: the job fails in a way, with the log of its failing pod."""

    def script(trainer, job):
        how = dict(settings)
        trainer.running(job, 0)
        pod = trainer.failed(
            job, how.pop("node", 1), status=how.pop("status", 1), reason=how.pop("ended", "Error"), **how
        )
        trainer.logs[pod] = "first line\nRuntimeError: the last word"
        time.sleep(0.1)
        trainer.fail(job)

    return script


def test_failure_oom_killed(run):
    done = run(failing(status=137, ended="OOMKilled"))
    assert done.error.reason == "OOM_KILLED" and done.error.kind == "fatal"
    assert "raise `memory`" in str(done.error)
    assert "RuntimeError: the last word" in str(done.error)  # of the failing pod, not of pod 0
    assert any("RuntimeError: the last word" in line for line in done.said)
    kept = list((done.work / "launch" / "logs").iterdir())
    assert any("the last word" in path.read_text() for path in kept)
    assert len(run.trainer.made) == 1


def test_failure_of_user_code_names_the_rank_and_what_it_said(run):
    def script(trainer, job):
        trainer.rank_failure(job, 0, "retryable", "ConnectionError: connection closed by peer", at=1.0)
        trainer.rank_failure(job, 3, "fatal", "the loss is nan at step 7; lower learning_rate", at=2.0)
        pod = trainer.failed(job, 1, status=64)
        trainer.failed(job, 0, status=75)
        trainer.logs[pod] = "Traceback\nof rank 3"
        trainer.fail(job)

    done = run(script)
    assert done.error.reason == "USER_CODE" and done.error.kind == "fatal"
    assert "the loss is nan at step 7" in str(done.error) and "training process 3" in str(done.error)
    assert "of rank 3" in str(done.error)
    assert len(run.trainer.made) == 1


def test_failure_exit_status_without_a_word(run):
    done = run(failing(status=2))
    assert done.error.reason == "USER_CODE" and done.error.kind == "fatal" and "exit status 2" in str(done.error)


def test_failure_gpu_memory(run):
    def script(trainer, job):
        trainer.rank_failure(job, 0, "fatal", "out of memory: CUDA; lower batch_size")
        trainer.failed(job, 0, status=64)
        trainer.fail(job)

    done = run(script)
    assert done.error.reason == "GPU_OUT_OF_MEMORY" and "lower batch_size" in str(done.error)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (
            {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]},
            "PREEMPTED",
        ),
        (
            {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}]},
            "DISRUPTED",
        ),
        ({"ended": "Error", "status": 137}, "KILLED"),
    ],
)
def test_failure_that_may_pass_is_tried_again_from_the_checkpoint(run, how, reason):
    attempts = []

    def script(trainer, job):
        attempts.append(job["metadata"]["annotations"][manifest.ATTEMPT])
        if len(attempts) == 1:
            (Path(trainer.training_job(job).work) / "checkpoint-4").mkdir(parents=True)
            failing(**how)(trainer, job)
        else:
            assert (Path(trainer.training_job(job).work) / "checkpoint-4").is_dir()
            run.fake.succeed(trainer, job)

    done = run(script)
    assert done.launched is not None, done.error
    assert attempts == ["1", "2"] and run.trainer.most_at_once == 1
    assert any("starting again (1 of 3 attempts used)" in line for line in done.said)
    assert done.launched.details["attempt"] == 2
    assert not (done.work / "checkpoint-4").exists()  # the finished job needs it no more


def test_attempts_are_counted_over_retries_of_the_step(run):
    preempted = {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]}
    done = run(failing(**preempted), attempts=2)
    assert done.error.reason == "PREEMPTED" and done.error.kind == "retryable"
    assert len(run.trainer.made) == 2
    again = run(None, attempts=2)
    assert again.error.reason == "PREEMPTED" and len(run.trainer.made) == 2
    other = run(None, attempts=2, run_id="another-run")  # a person who runs it anew wants a new job
    assert other.error.reason == "PREEMPTED" and len(run.trainer.made) == 4


def test_a_fatal_failure_of_this_run_is_told_again_without_training(run):
    first = run(failing(status=2))
    again = run(None)
    assert str(again.error).splitlines()[0] == str(first.error).splitlines()[0]
    assert len(run.trainer.made) == 1


def test_logs_that_cannot_be_read_do_not_hide_the_failure(run):
    def script(trainer, job):
        trainer.failed(job, status=137, reason="OOMKilled")
        trainer.fail(job)

    done = run(script)
    assert done.error.reason == "OOM_KILLED"
    assert "the log of pod" in str(done.error) and "no kubelet" in str(done.error)


def test_logs_of_the_real_api_server_without_a_kubelet_say_so(run):
    def script(trainer, job):
        trainer.failed(job, status=137, reason="OOMKilled")
        trainer.fail(job)

    done = run(script, logs="kubelet")
    assert done.error.reason == "OOM_KILLED" and "cannot be read" in str(done.error)


def test_failure_image_pull_deletes_the_job(run):
    def script(trainer, job):
        trainer.waiting(job, "ImagePullBackOff", "manifest unknown")

    done = run(script, pull_seconds=0.5)
    assert done.error.reason == "IMAGE_PULL" and done.error.kind == "fatal" and "manifest unknown" in str(done.error)
    run.wait(lambda: not run.admin.list(TRAIN_JOBS)["items"])


def test_an_image_that_comes_late_is_no_failure(run):
    def script(trainer, job):
        trainer.waiting(job, "ErrImagePull", "i/o timeout")
        time.sleep(1.5)
        run.fake.succeed(trainer, job)

    assert run(script, pull_seconds=20).launched is not None


def test_failure_not_admitted_by_kueue(run):
    def script(trainer, job):
        name = f"trainjob-{job['metadata']['name']}-a1b2c"
        trainer.event(
            "Workload", name, "Pending", "couldn't assign flavors: insufficient unused quota for nvidia.com/gpu"
        )

    done = run(script, queue="gpu-training", queue_seconds=2.0)
    assert done.error.reason == "NOT_ADMITTED" and done.error.kind == "retryable"
    assert "gpu-training" in str(done.error) and "insufficient unused quota" in str(done.error)
    assert any("waits for admission to queue gpu-training" in line for line in done.said)
    run.wait(lambda: not run.admin.list(TRAIN_JOBS)["items"])


def test_failure_quota_of_the_namespace(run):
    def script(trainer, job):
        told = 'pods "x" is forbidden: exceeded quota: gpus, requested: requests.nvidia.com/gpu=8'
        trainer.event("Job", f"{job['metadata']['name']}-node-0", "FailedCreate", told)

    done = run(script, queue_seconds=2.0)
    assert done.error.reason == "QUOTA" and done.error.kind == "retryable" and "exceeded quota" in str(done.error)


def test_failure_pods_refused_by_pod_security(run):
    def script(trainer, job):
        told = 'pods "x" is forbidden: violates PodSecurity "restricted:latest"'
        trainer.event("Job", f"{job['metadata']['name']}-node-0", "FailedCreate", told)

    done = run(script, queue_seconds=2.0)
    assert done.error.reason == "PODS_REFUSED" and done.error.kind == "fatal" and "PodSecurity" in str(done.error)


def test_failure_unschedulable(run):
    def script(trainer, job):
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        trainer.pod(
            job, phase="Pending", conditions=[{**condition, "message": "0/3 nodes: Insufficient nvidia.com/gpu"}]
        )

    done = run(script, queue_seconds=2.0)
    assert done.error.reason == "UNSCHEDULABLE" and "Insufficient nvidia.com/gpu" in str(done.error)
    assert "tolerations" in str(done.error)


def test_failure_no_controller(run):
    done = run(lambda trainer, job: None, queue_seconds=1.0)
    assert done.error.reason == "NO_PODS" and "controller" in str(done.error)


def test_failure_runtime_not_supported(run):
    done = run(lambda trainer, job: trainer.fail(job, "TrainingRuntimeNotSupported", "no such runtime"))
    assert done.error.reason == "RUNTIME" and done.error.kind == "fatal"


def test_failure_deadline_of_the_controller(run):
    def script(trainer, job):
        trainer.running(job)
        trainer.fail(job, "DeadlineExceeded", "trainjob was active longer than specified deadline")

    done = run(script)
    assert done.error.reason == "DEADLINE" and "raise timeout_seconds" in str(done.error)


def test_timeout_deletes_the_job_when_the_controller_does_not(run):
    done = run(run.fake.hang, timeout_seconds=1.0, queue_seconds=1.0)
    assert done.error.reason == "DEADLINE" and done.error.kind == "fatal"
    run.wait(lambda: not run.admin.list(TRAIN_JOBS)["items"])


@pytest.mark.parametrize("hours", [-30, 30])
def test_clock_skew_of_this_machine_neither_ends_a_job_nor_keeps_one(run, monkeypatch, hours):
    real = time.time
    monkeypatch.setattr("time.time", lambda: real() + hours * 3600)

    def script(trainer, job):
        trainer.running(job)
        time.sleep(2.5)
        trainer.result(job)
        trainer.complete(job)

    assert run(script, timeout_seconds=3600).launched is not None  # not over, though the clock is a day ahead
    done = run(run.fake.hang, timeout_seconds=1.0, queue_seconds=1.0, seed=2)
    assert done.error.reason == "DEADLINE"  # over, though the clock is a day behind


def test_a_job_that_somebody_deletes_ends_the_step(run):
    def script(trainer, job):
        trainer.running(job)
        time.sleep(0.5)
        trainer.cluster.delete(TRAIN_JOBS, job["metadata"]["name"])

    done = run(script)
    assert done.error.reason == "DELETED" and done.error.kind == "retryable" and len(run.trainer.made) == 1


def test_restart_by_jobset_shows_the_log_before_it_is_gone(run):
    def script(trainer, job):
        pod = trainer.failed(job, 1, restart=0, status=75)
        trainer.logs[pod] = "NCCL timeout"
        time.sleep(1.6)
        trainer.cluster.delete(PODS, pod, propagation="Background")
        trainer.running(job, 1, restart=1)
        trainer.result(job)
        trainer.complete(job)

    done = run(script)
    assert done.launched is not None and any("NCCL timeout" in line for line in done.said)


# the cluster is not what it should be


def test_rbac_denied_names_verb_resource_and_account(run):
    done = run(None, account="flywheel-steps")
    assert isinstance(done.error, errors.AccessDeniedError)
    for word in ("service account flywheel-steps", "create trainjobs.trainer.kubeflow.org", "delete trainjobs", SPACE):
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
    assert "no TrainingRuntime other-runtime in namespace train" in str(done.error)


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
    path = kubeconfig(run.proxy.url, "flywheel-launcher", SPACE)
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
    assert len(only_job(run)["metadata"]["labels"][manifest.RUN]) <= 63

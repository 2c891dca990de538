"""The trainjob launcher on a real API server, with the controller played by the test: creation, adoption, failures."""

import json
import threading
from pathlib import Path

import yaml

from flywheel.components.cluster.resources import TRAIN_JOBS
from flywheel.components.training.cluster import manifest
from flywheel.components.training.failure import TrainingFailed

DIGEST = "registry.example/other@sha256:" + "0" * 64


def test_a_job_is_created_trained_and_judged_by_its_result(run):
    def paced(trainer, job):
        trainer.pace = 1.2
        run.fake.succeed(trainer, job)

    done = run(paced, queue="", nodes=2, gpus_per_node=4)
    assert done.launched is not None, done.error
    assert not done.launched.adopted and done.launched.result.rows_trained == 8
    job = run.only_job()
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
    job = run.only_job()
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
    run.wait(lambda: run.only_job()["metadata"]["annotations"][manifest.RUN] == "other/run")
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
    assert run.only_job()["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


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

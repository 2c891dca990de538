"""How a TrainJob fails, and what the launcher makes of it: reason, kind, words, and what it does with the job."""

import time
from pathlib import Path

import pytest

from flywheel.components.cluster.resources import PODS, TRAIN_JOBS
from flywheel.components.training.cluster import manifest


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


def test_a_job_that_hangs_after_its_result_is_deleted_and_counts(run, monkeypatch):
    monkeypatch.setattr("flywheel.components.training.cluster.follow._SETTLE", 0.5)

    def script(trainer, job):
        trainer.running(job)
        trainer.result(job)  # and no condition follows: a process that does not end

    done = run(script)
    assert done.launched is not None, done.error
    run.wait(lambda: not run.admin.list(TRAIN_JOBS)["items"])


def test_a_job_preempted_in_its_queue_again_is_waited_for(run):
    def script(trainer, job):
        name = job["metadata"]["name"]
        trainer.cluster.patch(TRAIN_JOBS, name, {"spec": {"suspend": False}})
        trainer.condition(job, "Suspended", "Resumed", status="False")
        pod = trainer.running(job)
        time.sleep(1.3)
        trainer.cluster.delete(PODS, pod, propagation="Background")
        trainer.cluster.patch(TRAIN_JOBS, name, {"spec": {"suspend": True}})  # Kueue takes the quota away
        trainer.condition(job, "Suspended", "Suspended")
        time.sleep(1.3)
        trainer.cluster.patch(TRAIN_JOBS, name, {"spec": {"suspend": False}})
        trainer.condition(job, "Suspended", "Resumed", status="False")
        run.fake.succeed(trainer, job)

    done = run(script, queue="gpu-training", timeout_seconds=60)
    assert done.launched is not None, done.error
    states = [
        line.split(": ", 2)[2] for line in done.said if ": TrainJob" in line and ": " in line.split(": TrainJob")[1]
    ]
    assert states.count("waits for admission to queue gpu-training") >= 2, states
    assert len(run.trainer.made) == 1

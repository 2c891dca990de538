"""The launcher in a process of its own, killed before and after every request it makes, and stopped with SIGTERM."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flywheel.components.cluster.resources import TRAIN_JOBS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PREEMPTED = {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]}


@pytest.fixture
def processes(run, kubeconfig):
    """Starts launchers as the launcher's account, through the proxy."""
    path = kubeconfig(run.proxy.url, "flywheel-launcher", run.bench.space)
    environment = {**os.environ, "KUBECONFIG": str(path), "PYTHONWARNINGS": "ignore"}
    environment.pop("KUBERNETES_SERVICE_HOST", None)
    script = Path(__file__).with_name("trainjob_process.py")
    server = subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    yield Processes(run, server)
    server.stdin.close()
    server.kill()
    server.wait()


class Processes:
    def __init__(self, run, server):
        self.run, self.server = run, server
        self.pid_file, self.output = run.folder / "pid", run.folder / "answer.json"

    def start(self, seed: int, **options) -> None:
        job_file = self.run.folder / f"job-{seed}.json"
        self.run.job(seed=seed).write(job_file)
        for path in (self.pid_file, self.output):
            path.unlink(missing_ok=True)
        line = "\t".join(map(str, (self.pid_file, self.output, job_file, json.dumps(self.run.settings(**options)))))
        self.server.stdin.write(line + "\n")
        self.server.stdin.flush()

    def end(self) -> int:
        """Wait for the process; its exit status, negative for a signal."""
        return int(self.server.stdout.readline())

    def answer(self) -> dict:
        return json.loads(self.output.read_text())

    def send(self, number) -> None:
        os.kill(int(self.pid_file.read_text()), number)

    def at(self, number: int, when: str, what=signal.SIGKILL) -> None:
        """Send a signal to the process at its n-th request from now, before the server sees it or after."""
        first = len(self.run.proxy.requests)
        act = {when: lambda: self.send(what)}
        fault = sys.modules["faulty_proxy"].Fault
        self.run.proxy.faults = [fault(lambda request: request.number == first + number, **act)]

    def jobs_made(self, seed: int) -> list[dict]:
        """TrainJobs that the controller has ever seen for a job."""
        mine = str(self.run.job(seed=seed).fingerprint())
        name = self.run.name_of_job(mine)
        return [one for one in self.run.trainer.made if one["metadata"]["name"] == name]


def moments(method: str) -> tuple[str, ...]:
    """When to kill: before a change is seen by the server and after; after a reading (the next request's `before`)."""
    return ("after",) if method == "GET" else ("before", "after")


def test_killed_at_every_request_leaves_exactly_one_job(run, processes):
    run.play(run.fake.succeed)
    processes.start(0)
    assert processes.end() == 0 and "digest" in processes.answer(), processes.answer()
    requests = [(request.method, request.path.split("?")[0].rpartition("/")[2]) for request in run.proxy.requests]
    begin = requests.index(("GET", "flywheel-deepspeed"))  # what was asked before only reads
    killed = 0
    for number in range(begin + 1, len(requests) + 1):
        for when in moments(requests[number - 1][0]):
            seed = 2 * number + (when == "after")
            processes.at(number, when)
            processes.start(seed)
            killed += processes.end() == -signal.SIGKILL
            run.proxy.faults = []
            processes.start(seed)
            assert processes.end() == 0
            assert "digest" in processes.answer(), (number, when, processes.answer())
            assert len(processes.jobs_made(seed)) == 1, (number, when)
    assert killed >= 12 and run.trainer.made
    print(f"{killed} kills at {len(requests) - begin} requests")


def test_killed_while_a_preempted_job_is_replaced_leaves_one(run, processes):
    first_of: set[str] = set()

    def script(trainer, job):
        name = job["metadata"]["name"]
        if name in first_of:
            run.fake.succeed(trainer, job)
            return
        first_of.add(name)
        trainer.failed(job, status=137, **PREEMPTED)
        trainer.fail(job)

    run.play(script)
    processes.start(0)
    assert processes.end() == 0 and "digest" in processes.answer(), processes.answer()
    requests = [request.method for request in run.proxy.requests]
    delete = requests.index("DELETE")
    create = max(place for place, method in enumerate(requests) if method == "POST")
    killed = 0
    for number in range(delete - 1, create + 3):
        for when in moments(requests[number - 1]):
            seed = 2 * number + (when == "after")
            processes.at(number, when)
            processes.start(seed)
            killed += processes.end() == -signal.SIGKILL
            run.proxy.faults = []
            processes.start(seed)
            assert processes.end() == 0
            assert "digest" in processes.answer(), (number, when, processes.answer())
            assert len(processes.jobs_made(seed)) == 2, (number, when)  # the preempted one, and one after it
    assert killed >= 8


def test_sigterm_deletes_the_job(run, processes):
    run.play(run.fake.hang)
    processes.start(1)
    run.wait(lambda: run.admin.list(TRAIN_JOBS)["items"])
    time.sleep(1.0)
    processes.send(signal.SIGTERM)
    started = time.monotonic()
    assert processes.end() == 0
    assert time.monotonic() - started < 20  # within a pod's grace
    answer = processes.answer()
    assert answer["reason"] == "STOPPED" and "run again to continue" in answer["error"]
    assert any("was deleted" in line for line in answer["said"])
    run.wait(lambda: not run.admin.list(TRAIN_JOBS)["items"])


@pytest.mark.parametrize("when", ["before", "after"])
def test_sigterm_in_the_middle_of_the_creation_leaves_no_orphan(run, processes, when):
    run.play(run.fake.hang)
    fault = sys.modules["faulty_proxy"].Fault
    creating = lambda request: request.method == "POST" and request.path.endswith("trainjobs?fieldValidation=Strict")  # noqa: E731
    act = {when: lambda: (processes.send(signal.SIGTERM), time.sleep(0.3))}
    run.proxy.faults = [fault(creating, **act)]
    processes.start(1)
    assert processes.end() == 0
    assert processes.answer()["reason"] == "STOPPED", processes.answer()
    time.sleep(0.3)
    run.wait(lambda: not run.admin.list(TRAIN_JOBS)["items"])


def test_sigterm_leaves_a_job_that_another_run_has_adopted(run, processes):
    run.play(run.fake.hang)
    processes.start(1)
    [job] = run.wait(lambda: run.admin.list(TRAIN_JOBS)["items"])
    marks = {"annotations": {"flywheel.feedback-flywheel.dev/run-id": "other"}}
    run.admin.patch(TRAIN_JOBS, job["metadata"]["name"], {"metadata": marks})
    time.sleep(0.5)
    processes.send(signal.SIGTERM)
    assert processes.end() == 0
    assert any("belongs to another run now" in line for line in processes.answer()["said"]), processes.answer()
    assert len(run.admin.list(TRAIN_JOBS)["items"]) == 1

"""The servers of these tests end with the run, whatever ends it: none is left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

KEEPER = Path(__file__).with_name("api_server.py")
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def run(tmp_path):
    """A test run, its keeper and two servers."""
    parent = subprocess.Popen(SLEEP)
    command = [sys.executable, str(KEEPER), str(tmp_path), str(parent.pid), json.dumps([SLEEP])]
    keeper = subprocess.Popen(command, stdin=subprocess.PIPE)
    keeper.stdin.write(json.dumps([SLEEP]).encode() + b"\n")
    keeper.stdin.close()  # the worker that started it has ended; the run goes on
    pids = []
    until(lambda: pids.extend(read(tmp_path / "pids")) or len(pids) >= 3)
    yield parent, keeper, pids[-2:]
    for process in (parent, keeper):
        process.kill()
        process.wait()


def read(path):
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return []
    return found if len(found) == 3 else []


def until(true, seconds=60):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_servers_outlive_the_worker_that_started_them_and_end_with_a_killed_run(run, tmp_path):
    parent, keeper, servers = run
    time.sleep(0.3)
    assert keeper.poll() is None
    assert all(map(alive, servers))
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    until(lambda: keeper.poll() is not None)
    assert not any(map(alive, servers))
    assert "seconds of processor time" in (tmp_path / "cpu").read_text()


def test_servers_end_with_a_killed_keeper(run):
    _, keeper, servers = run
    assert all(map(alive, servers))
    os.kill(keeper.pid, signal.SIGKILL)
    until(lambda: not any(map(alive, servers)))


def test_a_crd_is_changed_when_no_other_worker_runs_a_test(tmp_path):
    """One process asks to be alone while another is in a test and goes on to its next one."""
    for name in ("crd_lock.py", "conftest.py"):  # this test itself holds the lock on the files beside it
        shutil.copy(KEEPER.with_name(name), tmp_path)
    script = (
        "import importlib.util, sys, time\n"
        f"spec = importlib.util.spec_from_file_location('crd_lock', {str(tmp_path / 'crd_lock.py')!r})\n"
        "lock = importlib.util.module_from_spec(spec); spec.loader.exec_module(lock)\n"
        "lock.share()\n"
        "def say(what): print(what, flush=True)\n"
        "say('in a test')\n"
        "for line in sys.stdin:\n"
        "    if line.strip() == 'next':\n"
        "        lock.leave(); say('left'); lock.share(); say('in the next')\n"
        "    elif line.strip() == 'alone':\n"
        "        with lock.alone():\n"
        "            say('alone'); sys.stdin.readline()\n"
        "        say('together')\n"
    )
    one, two = (
        subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    )
    try:
        tell = lambda process, word: (process.stdin.write(word + "\n"), process.stdin.flush())  # noqa: E731
        assert [process.stdout.readline().strip() for process in (one, two)] == ["in a test"] * 2
        tell(one, "alone")
        time.sleep(0.5)  # long enough to be alone, were it not for the other's test
        tell(two, "next")
        assert two.stdout.readline().strip() == "left"
        assert one.stdout.readline().strip() == "alone"
        tell(one, "done")
        assert one.stdout.readline().strip() == "together"
        assert two.stdout.readline().strip() == "in the next"
    finally:
        for process in (one, two):
            process.kill()
            process.wait()

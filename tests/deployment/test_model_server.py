import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from flywheel.components.deployment.serving.server_process import ServerFailedError, ServerProcess
from flywheel.components.training.weights import model_digest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def post(url: str, body: object) -> tuple[int, dict]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def wait_ready(server: ServerProcess) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        server.check()
        try:
            with urllib.request.urlopen(server.ready_url, timeout=2) as reply:
                if reply.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(server.log_tail(20))


def test_a_server_answers_in_both_protocols_and_says_who_it_is(model_folders: dict[str, Path], tmp_path: Path) -> None:
    server = ServerProcess(model_folders["good"], "assistant", tmp_path / "server.log")
    server.start()
    try:
        wait_ready(server)
        digest = model_digest(model_folders["good"])
        messages = [{"role": "user", "content": "What is the price of akora?"}]
        status, chat = post(server.url, {"model": "assistant", "messages": messages})
        assert status == 200
        assert chat["choices"][0]["message"]["content"] == "akora costs 11."
        assert chat["choices"][0]["finish_reason"] == "stop"
        assert chat["system_fingerprint"] == digest
        assert chat["usage"]["completion_tokens"] > 0
        predict = server.ready_url + ":predict"
        status, answer = post(predict, {"instances": [{"messages": messages}]})
        assert status == 200
        assert answer["predictions"][0]["text"] == "akora costs 11."
        assert answer["predictions"][0]["model_digest"] == digest
        assert post(predict, {"instances": [{"messages": "hi"}]})[0] == 400
        for bad in ({"messages": []}, {"messages": [{"role": "user"}]}, {"messages": messages, "stream": True}, []):
            assert post(server.url, bad)[0] == 400
        long = [{"role": "user", "content": "word " * 500}]
        assert post(server.url, {"messages": long})[0] == 200  # cut to the context window, not a crash
        with socket.socket() as probe:
            host = socket.gethostbyname(socket.gethostname())
            port = int(server.url.split(":")[2].split("/")[0])
            if not host.startswith("127."):
                assert probe.connect_ex((host, port)) != 0, "the server listens beyond loopback"
        pid = server.pid
    finally:
        server.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
    server.stop()  # again is harmless


@pytest.mark.parametrize("spoil", ["no weights", "broken weights"])
def test_a_folder_that_cannot_be_served_ends_with_its_reason(
    model_folders: dict[str, Path], tmp_path: Path, spoil: str
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for file in model_folders["good"].iterdir():
        if file.suffix != ".safetensors":
            (folder / file.name).write_bytes(file.read_bytes())
    if spoil == "broken weights":
        (folder / "model.safetensors").write_bytes(b"not safetensors at all")
    server = ServerProcess(folder, "broken", tmp_path / "server.log")
    server.start()
    with pytest.raises(ServerFailedError, match="exit code 2.*model_server: "):
        wait_ready(server)
    server.stop()


def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    child = (
        "import os, time; from flywheel.components.deployment.serving.parent_death import die_with_parent; "
        "die_with_parent(os.getppid()); print(os.getpid(), flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"],
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and Path(f"/proc/{pid}/status").exists():
        if "State:\tZ" in Path(f"/proc/{pid}/status").read_text():
            break
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{pid}").exists()


def test_answers_made_in_chunks_are_the_same_answers(
    model_folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from flywheel.components.deployment.serving import greedy_generation

    chats = [
        [{"role": "user", "content": f"What is the price of {item}?"}]
        for item in ("akora", "belith", "finumo", "unknown")
    ]
    model = greedy_generation.GreedyModel(model_folders["good"], max_new_tokens=12)
    whole = model.answer(chats)
    monkeypatch.setattr(greedy_generation, "_FIRST_CHUNK", 1)
    assert model.answer(chats) == whole
    assert [answer.text for answer in whole[:3]] == ["akora costs 11.", "belith costs 39.", "finumo costs 130."]
    assert all(answer.finished for answer in whole[:3])
    short = greedy_generation.GreedyModel(model_folders["good"], max_new_tokens=2).answer(chats[:1])[0]
    assert (short.finished, short.completion_tokens) == (False, 2)

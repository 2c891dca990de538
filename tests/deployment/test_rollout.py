import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest

from flywheel.components.contracts.rollout import UserQuestion
from flywheel.components.deployment.canary import canary
from flywheel.components.deployment.canary.policy import CanaryPolicy
from flywheel.components.deployment.driver import LocalDriver, local_or_refuse
from flywheel.components.registry.errors import LeaseHeldError
from flywheel.components.registry.open import open_registry
from flywheel.components.store import delta_table

QUICK = CanaryPolicy.for_shares((0.2, 0.5, 1.0), harm_budget=0.1).model_copy(
    update={"look_every": 50, "maturity": 100.0}
)
QUESTIONS = [
    f"What is the price of {first}{second}?"
    for first in ("ak", "bel", "cor", "dun", "el", "fin")
    for second in ("ora", "ith", "umo")
]


def traffic(path: Path, users: int, seed: int = 0) -> Path:
    """Users with two to four questions each; they know every price, and some write their address into the question."""
    random = Random(seed)
    lines = []
    for number in range(users):
        for part in range(random.randint(2, 4)):
            index = random.randrange(len(QUESTIONS))
            question = UserQuestion(
                subject=f"anna{number}@example.org",
                conversation=f"{number}-{part}",
                messages=({"role": "user", "content": QUESTIONS[index]},),
                references=(f"{QUESTIONS[index][21:-1]} costs {11 + 7 * index}.",),
            )
            lines.append(question.model_dump_json())
    random.shuffle(lines)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def arguments(root: Path, models: dict[str, Path], candidate: str, users: int, run_id: str = "run-1") -> dict[str, Any]:
    file = root / f"traffic-{users}.jsonl"
    if not file.exists():
        traffic(file, users)
    return {
        "candidate": str(models[candidate]),
        "production": str(models["production"]),
        "traffic": str(file),
        "registry": str(root / "registry.db"),
        "service": "assistant",
        "store": str(root / "store"),
        "run_id": run_id,
        "folder": root / "work",
    }


def servers_of(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(pid).children(recursive=True)
        return [child for child in children if "flywheel.components.deployment.serving.model_server" in child.cmdline()]
    return []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_good_candidate_is_promoted_and_everything_is_cleaned_up(model_folders, tmp_path: Path) -> None:
    said: list[str] = []
    given = arguments(tmp_path, model_folders, "good", 700)
    result = canary.run(**given, policy=QUICK, tell=said.append)
    assert result.state.decision == "promote", result.state.reasons
    assert servers_of(os.getpid()) == []
    assert any("in all about" in line for line in said[:6])
    open_registry(given["registry"]).acquire_lease("service/assistant", "someone-else", 5)  # the lease was given back
    for turn in result.turns:
        assert turn.digest == (
            result.state.candidate_digest if turn.arm == "candidate" else result.state.production_digest
        )
    last = result.state.looks[-1]
    assert last.share == 0.5
    assert sum(last.requests.values()) <= len(result.turns)
    interactions = delta_table.read(delta_table.latest(given["store"], "interactions"))
    feedback = delta_table.read(delta_table.latest(given["store"], "feedback"))
    assert interactions.num_rows == len(result.turns)
    assert feedback.num_rows == result.feedback_rows
    assert set(interactions["source"].to_pylist()) == {"flywheel.simulated"}
    assert {"rating", "correction", "implicit", "automated"} <= set(feedback["kind"].to_pylist())
    assert "example.org" not in json.dumps(interactions.drop_columns(["timestamp"]).to_pydict())


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_finished_rollout_is_not_run_again(model_folders, tmp_path: Path) -> None:
    given = arguments(tmp_path, model_folders, "harmful", 500)
    first = canary.run(**given, policy=QUICK, tell=lambda _: None)
    assert first.state.decision == "rollback"
    assert first.state.reasons[0].startswith("harm: bad_feedback")
    assert first.state.looks[-1].share < 1.0
    again = canary.run(**given, policy=QUICK, tell=lambda _: None)
    assert again.state == first.state
    assert again.feedback_rows == 0  # nothing doubled


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_candidate_that_crashes_in_mid_canary_is_rolled_back(
    model_folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    status = LocalDriver.status

    async def kill_at_third_look(self: LocalDriver) -> dict[str, float | str]:
        nonlocal looks
        looks += 1
        if looks == 3:
            os.kill(self.candidate.pid, signal.SIGKILL)
            await asyncio.sleep(0.2)
        return await status(self)

    monkeypatch.setattr(LocalDriver, "status", kill_at_third_look)
    result = canary.run(**arguments(tmp_path, model_folders, "good", 600), policy=QUICK, tell=lambda _: None)
    assert result.state.decision == "rollback"
    assert result.state.reasons[0].startswith("candidate-server-failed")
    assert servers_of(os.getpid()) == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_too_little_traffic_holds(model_folders, tmp_path: Path) -> None:
    result = canary.run(**arguments(tmp_path, model_folders, "good", 12), policy=QUICK, tell=lambda _: None)
    assert result.state.decision == "hold"
    assert result.state.reasons[0].startswith("traffic-ended: too-few-users")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_candidate_that_cannot_be_served_is_rolled_back(model_folders, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in model_folders["good"].iterdir():
        (broken / file.name).write_bytes(b"{}" if file.name == "config.json" else file.read_bytes())
    given = arguments(tmp_path, model_folders | {"broken": broken}, "broken", 12)
    result = canary.run(**given, policy=QUICK, tell=lambda _: None)
    assert result.state.decision == "rollback"
    assert "candidate-server-failed" in result.state.reasons[0]
    assert result.turns == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_killed_step_leaves_no_server_and_the_retry_goes_on(model_folders, tmp_path: Path) -> None:
    patient = QUICK.model_copy(
        update={"steps": (QUICK.steps[0].model_copy(update={"minimum_users": 10_000}), QUICK.steps[1])}
    )
    given = arguments(tmp_path, model_folders, "good", 900) | {"folder": str(tmp_path / "work")}
    step = Path(__file__).with_name("step_process.py")

    def start(policy: CanaryPolicy) -> subprocess.Popen[bytes]:
        spoken = json.dumps(given | {"policy": policy.model_dump(mode="json")})
        return subprocess.Popen([sys.executable, str(step), spoken], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    first = start(patient)
    state, deadline = tmp_path / "work" / "state.json", time.monotonic() + 120
    while time.monotonic() < deadline and not (state.exists() and len(json.loads(state.read_text())["looks"]) >= 2):
        assert first.poll() is None, first.stdout.read() if first.stdout else ""
        time.sleep(0.02)
    servers = servers_of(first.pid)
    assert len(servers) == 2
    first.kill()
    first.wait()
    _, alive = psutil.wait_procs(servers, timeout=5)
    assert alive == [], "model servers outlived the killed step"
    before = json.loads(state.read_text())["looks"]
    second = start(patient)
    output = second.communicate(timeout=200)[0].decode()
    assert second.returncode == 0, output
    assert "decision hold" in output
    after = json.loads(state.read_text())["looks"]
    assert after[: len(before)] == before  # went on, did not start over
    assert len(after) > len(before)
    turns = [json.loads(line) for line in (tmp_path / "work" / "turns.jsonl").read_text().splitlines()]
    assert len({(turn["subject"], turn["number"]) for turn in turns}) == len(turns)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_sigterm_stops_the_servers_and_gives_the_lease_back(model_folders, tmp_path: Path) -> None:
    given = arguments(tmp_path, model_folders, "good", 900) | {"folder": str(tmp_path / "work")}
    spoken = json.dumps(given | {"policy": QUICK.model_dump(mode="json")})
    step = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("step_process.py")), spoken],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(servers_of(step.pid)) < 2:
        assert step.poll() is None
        time.sleep(0.05)
    servers = servers_of(step.pid)
    step.terminate()
    assert step.wait(timeout=20) == 143
    assert psutil.wait_procs(servers, timeout=5)[1] == []
    open_registry(given["registry"]).acquire_lease("service/assistant", "someone-else", 5)


def test_a_second_rollout_on_the_same_service_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    given = arguments(tmp_path, {"production": folder, "good": folder}, "good", 3)
    open_registry(given["registry"]).acquire_lease("service/assistant", "another-run", 60)
    with pytest.raises(LeaseHeldError, match="another-run"):
        canary.run(**given, policy=QUICK, tell=lambda _: None)


def test_without_traffic_it_says_what_to_give(tmp_path: Path) -> None:
    given = arguments(tmp_path, {"production": tmp_path, "good": tmp_path}, "good", 3) | {"traffic": " "}
    with pytest.raises(ValueError, match="needs users: give `traffic`"):
        canary.run(**given, policy=QUICK, tell=lambda _: None)


def test_other_drivers_are_refused_clearly() -> None:
    local_or_refuse("local")
    with pytest.raises(ValueError, match="no model servers on this machine"):
        local_or_refuse("kserve")
    with pytest.raises(ValueError, match="unknown rollout driver"):
        local_or_refuse("nomad")

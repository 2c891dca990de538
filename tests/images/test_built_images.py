"""The built images: non-root, read-only, and a pipeline in them through KFP's DockerRunner on podman's socket.

They run where FLYWHEEL_IMAGES names the targets that were built (.ci/images builds them); elsewhere they skip.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flywheel.components import images

TARGETS = os.environ.get("FLYWHEEL_IMAGES", "").split()
GOLDEN = Path(__file__).parents[1] / "intake" / "golden" / "feedback.jsonl"
NAMES = {"data": images.DATA, "control": images.CONTROL, "training": images.TRAINING}
IMPORTS = {
    "data": "flywheel.components.intake.ingest, flywheel.components.curation.stages, great_expectations, daft",
    "control": "flywheel.scripts.command.app, flywheel.components.deployment.component, kserve, kubernetes",
    "training": "flywheel.components.training.run, deepspeed, trl, torch",
}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not TARGETS, reason="no images: run .ci/images, then set FLYWHEEL_IMAGES to the targets built"),
]
RESTRICTED = ["--read-only", "--tmpfs=/tmp", "--user=1000:1000", "--cap-drop=ALL", "--security-opt=no-new-privileges"]


def inside(target: str, program: str) -> subprocess.CompletedProcess[str]:
    command = ["podman", "run", "--rm", *RESTRICTED, NAMES[target], "python", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


@pytest.mark.parametrize("target", TARGETS)
def test_image_holds_its_part_and_runs_restricted(target):
    done = inside(
        target,
        f"import os, {IMPORTS[target]}\nassert os.getuid() == 1000\n"
        "try:\n    open('/opt/flywheel/x', 'w')\nexcept OSError as error:\n    print('refused', error.errno)\n",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().endswith("refused 30"), "the root file system must be read-only"


@pytest.mark.parametrize("target", TARGETS)
def test_image_declares_a_user_that_is_not_root(target):
    told = subprocess.run(
        ["podman", "image", "inspect", NAMES[target]], capture_output=True, text=True, timeout=60, check=True
    )
    (config,) = json.loads(told.stdout)
    assert config["Config"]["User"] == "1000:1000"
    names = [line.partition("=")[0] for line in config["Config"]["Env"]]
    assert "HOME" in names
    assert not [name for name in names if re.search(r"(KEY|TOKEN|SECRET|PASSWORD)$|^PIP_", name)]


@pytest.fixture
def docker_host(tmp_path, monkeypatch):
    """podman's socket, which speaks Docker's API."""
    socket = tmp_path / "podman.sock"
    service = subprocess.Popen(["podman", "system", "service", "--time=0", f"unix://{socket}"])
    deadline = time.monotonic() + 30
    while not socket.exists():
        assert time.monotonic() < deadline and service.poll() is None, "podman's service did not start"
        time.sleep(0.1)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
    yield
    service.terminate()
    service.wait(20)


PIPELINE = """
import sys
from docker.types import Ulimit
from kfp import local
from flywheel.pipelines.ingest_feedback import ingest_feedback

root, logs, store = sys.argv[1:]
limits = [Ulimit(name="nofile", soft=1024, hard=4096), Ulimit(name="nproc", soft=1024, hard=4096)]
local.init(
    local.DockerRunner(user="1000", network_mode="host", ulimits=limits, read_only=True, tmpfs={"/tmp": ""}),
    pipeline_root=root,
    raise_on_error=True,
)
ingest_feedback(logs=logs, store=store, run_id="in-containers")
"""


@pytest.mark.skipif("data" not in TARGETS, reason="the data image was not built")
def test_pipeline_runs_in_the_images(tmp_path, docker_host):
    """DockerRunner says success even of a container that failed at once, so the outputs are what is checked."""
    from flywheel.components.contracts.tables import FeedbackSnapshot
    from flywheel.components.store import delta_table, lineage

    root = tmp_path / "out"
    root.mkdir()
    shutil.copy(GOLDEN, root)
    for folder in (tmp_path, root):
        folder.chmod(0o777)
    store = str(root / "store")
    done = subprocess.run(
        [sys.executable, "-c", PIPELINE, str(root), str(root / GOLDEN.name), store],
        capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    (snapshot,) = root.glob("*/intake-feedback/feedback")
    interactions = delta_table.read(FeedbackSnapshot.read(snapshot).interactions)
    assert interactions.num_rows > 0
    (output,) = root.glob("*/verify-anonymization/executor_output.json")
    assert json.loads(output.read_text())["parameterValues"]["Output"] == 0
    assert {step.step for step in lineage.steps(store, "in-containers")} >= {"intake_feedback", "verify_anonymization"}

"""Training on a CUDA device: nccl, bf16, and the same model after a kill. Skipped where there is no device."""

import json
import os
import subprocess
import sys
from unittest import mock

import pytest

from flywheel.components.contracts.dataset import EvaluationItem
from flywheel.components.training import weights
from flywheel.components.training.process_environment import devices
from tests.training.test_local_training import processes_of, wait_for


def on_gpu() -> dict[str, str]:
    """This process's environment without the CPU that `conftest` asks for."""
    return {name: value for name, value in os.environ.items() if name != "DS_ACCELERATOR"}


with mock.patch.dict(os.environ, on_gpu(), clear=True):
    _DEVICE, _ = devices()
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(_DEVICE != "cuda", reason="no CUDA device here, or torch was built for CPUs"),
]
SCRIPT = """
import sys
from flywheel.components.training import train
from flywheel.components.training.job import Hyperparameters
sft, manifest, base, output, stage = sys.argv[1:]
made = train.train_model(sft, manifest, base, output, "r", processes=1, zero_stage=int(stage),
                         hyperparameters=Hyperparameters(epochs=8.0, learning_rate=1e-2, batch_size=16))
print(made.manifest.digest, made.loss[0][1], made.loss[-1][1], made.manifest.config["device"])
"""


def start(dataset, base, output, stage=2):
    command = [sys.executable, "-c", SCRIPT, *dataset, str(base), str(output), str(stage)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=on_gpu())


def said(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err[-3000:]
    digest, first, last, device = out.split()[-4:]
    return digest, float(first), float(last), device, out


@pytest.fixture(scope="module")
def trained(tmp_path_factory, base, dataset):
    output = tmp_path_factory.mktemp("gpu") / "model"
    return output, said(start(dataset, base, output))


def test_it_learns_in_bf16_and_keeps_the_bases_precision(trained, base):
    from safetensors import safe_open

    output, (digest, first, last, device, _) = trained
    assert device == "cuda" and last < 0.5 * first
    assert weights.model_digest(output) == digest
    with safe_open(output / "model.safetensors", "pt") as file, safe_open(base / "model.safetensors", "pt") as before:
        assert set(file.keys()) == set(before.keys())
        assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"F32"}  # noqa: SIM118


def test_killed_in_the_middle_it_continues_to_the_same_model(trained, base, dataset, tmp_path):
    _, (digest, *_) = trained
    first = start(dataset, base, tmp_path / "model")
    work = wait_for(lambda: next(iter((tmp_path / ".training-jobs").glob("*")), None))
    wait_for(lambda: list(work.glob("checkpoint-*/complete.json")))
    first.kill()
    first.wait()
    wait_for(lambda: not processes_of(work), 20)
    assert not (work / "result.json").exists()
    again, *_, out = said(start(dataset, base, tmp_path / "model"))
    assert "continuing from step" in out
    assert json.loads((work / "result.json").read_text())["resumed_at"] > 0
    assert again == digest


@pytest.mark.parametrize("stage", [0, 3])
def test_every_zero_stage_learns_the_same(trained, base, dataset, tmp_path, stage):
    _, (_, first, last, _, _) = trained
    _, other_first, other_last, device, _ = said(start(dataset, base, tmp_path / "model", stage))
    assert device == "cuda"
    assert other_first == pytest.approx(first, abs=1e-2) and other_last == pytest.approx(last, abs=5e-2)


def test_the_gauntlet_answers_on_the_device(trained, some_rows):
    from flywheel.components.evaluation.generate import Generator

    output, _ = trained
    items = [
        EvaluationItem(item_id=str(n), suite="changed", messages=row["prompt"], references=("x",))
        for n, row in enumerate(some_rows(20))
    ]
    model = Generator(output, max_new_tokens=16)
    assert next(model._model.parameters()).device.type == "cuda"
    there = [answer.text for answer in model.answer(items, batch_size=8)]
    sampled = model.sample(items[:4], 3, 0.8, seed=7)
    model._device = "cpu"
    model._model.to("cpu")
    here = [answer.text for answer in model.answer(items, batch_size=8)]
    assert sum(a == b for a, b in zip(there, here, strict=True)) >= 18  # sums in another order may part near a tie
    assert all(text.startswith("Item ") for text in there)
    assert [[a.error for a in one] for one in sampled] == [[""] * 3] * 4

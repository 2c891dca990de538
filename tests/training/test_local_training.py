"""Real training with TRL on DeepSpeed in processes of its own: about ten seconds each."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flywheel.components.training import train, weights
from flywheel.components.training.failure import TrainingFailed
from flywheel.components.training.job import Hyperparameters

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
FAST = Hyperparameters(epochs=8.0, learning_rate=1e-2, batch_size=8)  # 96 rows, 2 processes: 48 steps

SCRIPT = """
import sys
from flywheel.components.training import train
from flywheel.components.training.job import Hyperparameters
sft, manifest, base, output = sys.argv[1:]
made = train.train_model(sft, manifest, base, output, "r",
                         hyperparameters=Hyperparameters(epochs=8.0, learning_rate=1e-2, batch_size=8))
print(made.manifest.digest)
"""


def processes_of(work: Path) -> list[int]:
    """Processes whose command line names the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if str(work) in command and "flywheel.components.training" in command:
                found.append(int(entry.name))
    return found


def wait_for(condition, seconds: float = 180.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def start(dataset, base, output: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", SCRIPT, *dataset, str(base), str(output)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, base, dataset):
    """The model of an undisturbed run, and what was said."""
    output = tmp_path_factory.mktemp("trained") / "model"
    said: list[str] = []
    return output, train.train_model(*dataset, str(base), str(output), "r", hyperparameters=FAST, say=said.append), said


def test_a_model_comes_out_that_has_learned(trained, base):
    output, made, said = trained
    assert made.loss[-1][1] < 0.5 * made.loss[0][1] and [step for step, _ in made.loss] == list(range(1, 49))
    assert made.rows.accepted == 96 and made.tokens_per_second > 0 and not made.adopted
    assert weights.model_digest(output) == made.manifest.digest != made.manifest.base_digest
    assert made.manifest.base_digest == weights.model_digest(base)
    assert (output / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
    assert abs((output / "model.safetensors").stat().st_size - (base / "model.safetensors").stat().st_size) < 200
    assert any(line.startswith("training: step 48/48") for line in said)


def test_it_answers_what_it_was_taught(trained, some_rows):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    output, _, _ = trained
    tokenizer = AutoTokenizer.from_pretrained(output)
    model = AutoModelForCausalLM.from_pretrained(output)
    row = some_rows(1)[0]
    ids = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        said = model.generate(ids, max_new_tokens=30, do_sample=False)[0, ids.shape[1] :]
    text = tokenizer.decode(said)
    assert text.startswith("Item ") and text.endswith("<eos>")  # the shape of an answer, and where it ends


def test_the_same_job_again_is_taken_over_without_training(trained, base, dataset, tmp_path):
    output, made, _ = trained
    said: list[str] = []
    again = train.train_model(*dataset, str(base), str(output), "r", hyperparameters=FAST, say=said.append)
    assert again.adopted and again.manifest == made.manifest
    assert not any("importing" in line or "step" in line for line in said)
    other = output.with_name("elsewhere")  # another run with the same work folder: same weights, its own run id
    copy = train.train_model(*dataset, str(base), str(other), "r2", hyperparameters=FAST, say=said.append)
    assert copy.adopted and copy.manifest.digest == made.manifest.digest and copy.manifest.run_id == "r2"


def test_two_runs_give_the_same_bytes(trained, base, dataset, tmp_path):
    output, made, _ = trained
    second = train.train_model(*dataset, str(base), str(tmp_path / "model"), "r", hyperparameters=FAST)
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == (output / "model.safetensors").read_bytes()
    assert second.manifest.digest == made.manifest.digest and second.loss == made.loss


def test_killed_in_the_middle_it_continues_to_the_same_model(trained, base, dataset, tmp_path):
    _, made, _ = trained
    output = tmp_path / "model"
    first = start(dataset, base, output)
    work = wait_for(lambda: next(iter((tmp_path / ".training-jobs").glob("*")), None))
    wait_for(lambda: list(work.glob("checkpoint-*/complete.json")))
    first.kill()  # SIGKILL: it can clean up nothing
    first.wait()
    wait_for(lambda: not processes_of(work), 20)  # torchrun and its workers went with it
    assert not output.exists() and not (work / "result.json").exists()
    said: list[str] = []
    made_again = train.train_model(*dataset, str(base), str(output), "r", hyperparameters=FAST, say=said.append)
    assert any("continuing from step" in line for line in said)
    result = json.loads((work / "result.json").read_text())
    assert result["resumed_at"] > 0
    assert made_again.loss == made.loss  # the whole history, to the last digit
    assert made_again.manifest.digest == made.manifest.digest
    assert not list(work.glob("checkpoint-*"))


def test_a_killed_worker_is_replaced_and_nothing_is_lost(trained, base, dataset, tmp_path):
    _, made, _ = trained
    for attempt in range(6):  # the tiny job may end between its first step and our signal: then try again
        folder = tmp_path / str(attempt)
        run = start(dataset, base, folder / "model")
        work = wait_for(lambda folder=folder: next(iter((folder / ".training-jobs").glob("*")), None))
        wait_for(lambda run=run, work=work: (work / "progress.jsonl").exists() or run.poll() is not None)
        workers = [pid for pid in processes_of(work) if b"agent" not in Path(f"/proc/{pid}/cmdline").read_bytes()]
        for worker in sorted(workers)[-1:]:
            os.kill(worker, signal.SIGKILL)
        out, err = run.communicate(timeout=300)
        assert run.returncode == 0, err
        assert out.split()[-1] == made.manifest.digest
        if "killed by SIGKILL" in out:
            assert "trying again from the last checkpoint" in out
            return
    pytest.fail("in six attempts no worker was killed in time")


def test_sigterm_stops_every_process(base, dataset, tmp_path):
    run = start(dataset, base, tmp_path / "model")
    work = wait_for(lambda: next(iter((tmp_path / ".training-jobs").glob("*")), None))
    wait_for(lambda: len(processes_of(work)) >= 3)
    run.terminate()
    _, err = run.communicate(timeout=60)
    assert run.returncode != 0 and "stopped by SIGTERM" in err
    wait_for(lambda: not processes_of(work), 20)


def test_a_job_that_takes_too_long_is_stopped(base, dataset, tmp_path):
    with pytest.raises(TrainingFailed, match="took longer than 1 s"):
        train.train_model(*dataset, str(base), str(tmp_path / "m"), "r", hyperparameters=FAST, timeout_seconds=1.0)
    assert not processes_of(tmp_path)


def test_a_loss_that_is_no_number_ends_the_job_with_a_clear_word(new_model, dataset, tmp_path):
    import torch
    from safetensors.torch import load_file, save_file

    broken = new_model(tmp_path / "broken")
    state = load_file(broken / "model.safetensors")
    state["model.norm.weight"] = torch.full_like(state["model.norm.weight"], float("nan"))
    save_file(state, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(TrainingFailed, match="the loss is nan .* at step 1: training has diverged") as caught:
        train.train_model(*dataset, str(broken), str(tmp_path / "model"), "r", hyperparameters=FAST, processes=1)
    assert caught.value.kind == "fatal" and "Traceback" not in str(caught.value)
    assert not (tmp_path / "model").exists()


def test_rows_that_are_not_the_manifests_are_refused(base, new_dataset, some_rows, tmp_path):
    _, manifest = new_dataset(tmp_path / "one", some_rows(20))
    other, _ = new_dataset(tmp_path / "two", some_rows(21)[1:])
    with pytest.raises(TrainingFailed, match="is not the one in its manifest"):
        train.train_model(other, manifest, str(base), str(tmp_path / "model"), "r", hyperparameters=FAST, processes=1)


@pytest.mark.parametrize("stage", [0, 3])
def test_every_zero_stage_learns_the_same(trained, base, dataset, tmp_path, stage):
    _, made, _ = trained
    other = train.train_model(*dataset, str(base), str(tmp_path / "model"), "r", hyperparameters=FAST, zero_stage=stage)
    assert other.loss[-1][1] == pytest.approx(made.loss[-1][1], abs=2e-3)
    assert other.loss[0][1] == pytest.approx(made.loss[0][1], abs=1e-5)


def test_a_base_without_a_template_gets_the_plain_one_and_long_rows_are_counted(
    new_model, new_dataset, some_rows, tmp_path
):
    plain = new_model(tmp_path / "plain", None)
    made = some_rows(24)
    made[5]["completion"][0]["content"] *= 30
    dataset = new_dataset(tmp_path / "data", made)
    settings = Hyperparameters(epochs=1.0, batch_size=8, max_length=96)
    done = train.train_model(*dataset, str(plain), str(tmp_path / "model"), "r", processes=1, hyperparameters=settings)
    assert done.rows.quarantined == {"too_long": 1} and done.rows.accepted == 23
    assert "no chat template" in done.notes[0]
    assert "### " in (tmp_path / "model" / "chat_template.jinja").read_text()


def test_the_component_runs_and_records_itself(base, dataset, tmp_path):
    from kfp import dsl, local

    from flywheel.components.store import lineage
    from flywheel.components.training.component import train_model

    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"), raise_on_error=True)

    @dsl.pipeline
    def turn(store: str, base_model: str) -> str:
        sft = dsl.importer(artifact_uri=dataset[0], artifact_class=dsl.Dataset)
        manifest = dsl.importer(artifact_uri=dataset[1], artifact_class=dsl.Artifact)
        task = train_model(
            sft=sft.output,
            manifest=manifest.output,
            base_model=base_model,
            store=store,
            run_id="run-1",
            epochs=2.0,
            batch_size=8,
            learning_rate=5e-3,
        )
        return task.outputs["Output"]

    digest = turn(store=str(tmp_path / "store"), base_model=str(base)).output
    [record] = lineage.steps(str(tmp_path / "store"), "run-1")
    assert record.step == "train_model" and record.outcome == "trained" and record.rows is not None
    assert record.details["manifest"]["digest"] == digest and len(record.details["loss"]) == 12
    models = [path.parent for path in (tmp_path / "root").rglob("model.json")]
    assert weights.model_digest(models[0]) == digest
    assert any("<svg" in path.read_text() for path in (tmp_path / "root").rglob("curve") if path.is_file())

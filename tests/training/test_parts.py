"""What needs no training."""

import itertools
import math
import re
import shutil
from pathlib import Path

import pytest

from flywheel.components.contracts.model import ModelManifest
from flywheel.components.training import checkpoints, progress, train, weights
from flywheel.components.training.chat_template import ensure_chat_template
from flywheel.components.training.deepspeed_config import deepspeed_config
from flywheel.components.training.failure import TrainingFailed, classify, exit_words, explain
from flywheel.components.training.job import Hyperparameters, TrainingJob
from flywheel.components.training.loss_curve import loss_curve
from flywheel.components.training.process_environment import process_environment
from flywheel.components.training.tokenization import IGNORED, tokenize


def a_job(**changes):
    fields = {
        "run_id": "r",
        "base_model": "/b",
        "base_digest": "x",
        "dataset": "/d",
        "dataset_digest": "y",
        "work": "/w",
        "processes": 2,
        "code_version": "1",
    }
    return TrainingJob(**(fields | changes))


def test_only_the_completion_and_its_end_are_learned(tokenizer, some_rows):
    [row] = some_rows(1)
    [encoded] = tokenize([row], tokenizer, 64)
    learned = [token for token in encoded["labels"] if token != IGNORED]
    assert tokenizer.decode(learned) == row["completion"][0]["content"] + "<eos>"
    assert encoded["labels"][-len(learned) :] == encoded["input_ids"][-len(learned) :]
    hidden = encoded["input_ids"][: -len(learned)]
    assert tokenizer.decode(hidden) == f"<|user|>{row['prompt'][0]['content']}<|assistant|>"


def test_a_row_that_is_too_long_is_left_out_whole(tokenizer, some_rows):
    made = some_rows(2)
    made[0]["completion"][0]["content"] *= 20
    first, second = tokenize(made, tokenizer, 64)
    assert first is None and second is not None


def test_a_template_that_does_not_end_answers_gets_an_end(plain_tokenizer, some_rows):
    plain_tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"
    [encoded] = tokenize(some_rows(1), plain_tokenizer, 64)
    assert encoded["labels"][-1] == plain_tokenizer.eos_token_id


def test_the_plain_template_masks_the_prompt_too(plain_tokenizer, some_rows):
    plain_tokenizer.chat_template = None
    note = ensure_chat_template(plain_tokenizer)
    assert "no chat template" in note and ensure_chat_template(plain_tokenizer) == ""
    [row] = some_rows(1)
    [encoded] = tokenize([row], plain_tokenizer, 128)
    learned = plain_tokenizer.decode([token for token in encoded["labels"] if token != IGNORED])
    assert learned == row["completion"][0]["content"] + "<eos>\n"


def test_a_tokenizer_without_an_end_is_refused(plain_tokenizer):
    from copy import deepcopy

    endless = deepcopy(plain_tokenizer)
    endless.eos_token = None
    with pytest.raises(ValueError, match="no eos_token"):
        ensure_chat_template(endless)


def test_the_fingerprint_is_of_what_decides_the_weights():
    job = a_job()
    assert (
        job.fingerprint() == a_job(run_id="other", work="/elsewhere", base_model="/c", save_every_steps=3).fingerprint()
    )
    for change in (
        {"base_digest": "z"},
        {"dataset_digest": "z"},
        {"processes": 1},
        {"zero_stage": 3},
        {"seed": 8},
        {"hyperparameters": Hyperparameters(epochs=4)},
        {"code_version": "2"},
    ):
        assert a_job(**change).fingerprint() != job.fingerprint(), change


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_the_deepspeed_configuration_follows_the_job(stage):
    made = deepspeed_config(a_job(zero_stage=stage))
    assert made["zero_optimization"]["stage"] == stage
    assert ("stage3_gather_16bit_weights_on_model_save" in made["zero_optimization"]) is (stage == 3)
    assert made["train_batch_size"] == "auto" and made["bf16"] == {"enabled": False}
    assert deepspeed_config(a_job(device="cuda"))["bf16"] == {"enabled": True}


def test_processes_share_the_cores_and_stay_offline(monkeypatch):
    monkeypatch.setattr("flywheel.components.training.process_environment.cores", lambda: 6)
    monkeypatch.setenv("RANK", "3")
    made = process_environment(a_job())
    assert made["OMP_NUM_THREADS"] == "3" and made["HF_HUB_OFFLINE"] == "1" and made["DS_ACCELERATOR"] == "cpu"
    assert "RANK" not in made and made["TORCH_EXTENSIONS_DIR"] == "/w/torch_extensions"


def test_only_a_marked_checkpoint_counts(tmp_path):
    for step in (5, 10, 15):
        (tmp_path / f"checkpoint-{step}").mkdir()
    (tmp_path / "checkpoint-notes").mkdir()
    assert checkpoints.newest_complete(tmp_path) is None
    checkpoints.mark_complete(tmp_path / "checkpoint-5")
    checkpoints.mark_complete(tmp_path / "checkpoint-10")
    newest = checkpoints.newest_complete(tmp_path)
    assert newest is not None and checkpoints.step_of(newest) == 10
    assert checkpoints.remove_incomplete(tmp_path) == ["checkpoint-15", "checkpoint-notes"]
    assert checkpoints.newest_complete(tmp_path) == newest


def test_the_follower_waits_for_whole_lines(tmp_path):
    path = tmp_path / "progress.jsonl"
    follower = progress.Follower(path)
    assert follower.new_lines() == []
    progress.append(path, stage="one")
    with path.open("a") as file:
        file.write('{"stage": "tw')
    assert [line["stage"] for line in follower.new_lines()] == ["one"]
    with path.open("a") as file:
        file.write('o"}\n')
    assert [progress.words(line) for line in follower.new_lines()] == ["training: two"]
    assert "step 3/9  loss 0.5000  1,234 tokens/s" in progress.words(
        {"step": 3, "total": 9, "loss": 0.5, "tokens_per_second": 1234.0, "seconds_left": 2.0}
    )


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RuntimeError("[gloo] Connection closed by peer"), "retryable"),
        (OSError("[Errno 28] No space left on device"), "retryable"),
        (ConnectionResetError("x"), "retryable"),
        (ValueError("bad column"), "fatal"),
        (TrainingFailed("the loss is nan"), "fatal"),
        (TrainingFailed("stopped", "retryable"), "retryable"),
    ],
)
def test_failures_that_may_pass_are_told_from_those_that_will_not(error, kind):
    assert classify(error) == kind


def test_failures_are_explained():
    assert "lower batch_size" in explain(RuntimeError("CUDA out of memory. Tried to allocate 3 GiB"))
    assert explain(ValueError("no such column")) == "no such column"
    assert explain(KeyError("x")) == "KeyError: 'x'"
    assert exit_words(-9)[0] == "retryable" and "SIGKILL" in exit_words(137)[1]
    assert exit_words(1) == ("fatal", "exit status 1")


def test_the_loss_curve_is_one_page_without_references():
    page = loss_curve([(step, 5 * math.exp(-step / 20)) for step in range(1, 101)], "Loss <b>", "of a run")
    assert page.startswith("<!doctype html>") and "Loss &lt;b&gt;" in page
    assert not re.search(r"(src|href)=|@import|url\(", page)
    [raw, smooth] = re.findall(r'points="([^"]+)"', page)
    places = [float(point.split(",")[1]) for point in smooth.split()]
    assert len(raw.split()) == 100 and all(a < b for a, b in itertools.pairwise(places))  # falls: y grows
    assert loss_curve([(1, 2.0)], "t", "c") and loss_curve([(1, 0.0), (2, 0.0)], "t", "c")
    with pytest.raises(ValueError, match="no loss"):
        loss_curve([], "t", "c")
    with pytest.raises(ValueError, match="not finite"):
        loss_curve([(1, float("nan"))], "t", "c")


def _folder(path, *names):
    path.mkdir()
    for name in names:
        (path / name).write_text("{}")
    return path


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lambda folder: (folder / "model.safetensors").unlink(), r"no \*.safetensors"),
        (lambda folder: (folder / "pytorch_model.bin").write_bytes(b"x"), "pickles .pytorch_model.bin"),
        (lambda folder: (folder / "config.json").unlink(), "no config.json"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "x", "auto_map": {"A": "b"}}'), "auto_map"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "no tokenizer"),
        (shutil.rmtree, "no such folder"),
    ],
)
def test_a_base_model_that_cannot_be_used_says_why(tmp_path, base, dataset, break_it, words):
    folder = Path(shutil.copytree(base, tmp_path / "base"))
    break_it(folder)
    with pytest.raises(ValueError, match=words):
        train.train_model(*dataset, str(folder), str(tmp_path / "model"), "r")
    assert not (tmp_path / "model").exists()


def test_the_digest_is_of_weights_tokenizer_and_configuration(tmp_path):
    folder = _folder(tmp_path / "m", "config.json", "tokenizer.json", "model.safetensors")
    before = weights.model_digest(folder)
    (folder / "model.json").write_text("anything")
    (folder / "README.md").write_text("anything")
    assert weights.model_digest(folder) == before
    (folder / "chat_template.jinja").write_text("x")
    assert weights.model_digest(folder) != before


def test_publishing_replaces_a_folder_whole(tmp_path):
    export = _folder(tmp_path / "export", "config.json", "model.safetensors")
    output = _folder(tmp_path / "model", "stale.safetensors")
    manifest = ModelManifest(
        digest=weights.model_digest(export),
        base_digest="",
        dataset_digest="d",
        code_version="1",
        run_id="r",
        method="sft",
        config={"fingerprint": "f"},
        metrics={},
    )
    weights.publish(export, output, manifest)
    assert sorted(path.name for path in output.iterdir()) == ["config.json", "model.json", "model.safetensors"]
    assert weights.published(output, "f") == manifest
    assert weights.published(output, "g") is None
    (output / "config.json").unlink()
    assert weights.published(output, "f") is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export", "model"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"launcher": "trainjob"}, "launcher 'trainjob' is not available"),
        ({"launcher": "magic"}, "launcher 'magic' is not available"),
        ({"zero_stage": 4}, "zero_stage is 4"),
        ({"processes": 0}, "0 training processes on"),
        ({"processes": 1000}, "1000 training processes on"),
    ],
)
def test_bad_settings_are_refused_before_anything_starts(tmp_path, base, dataset, settings, words):
    with pytest.raises(ValueError, match=words):
        train.train_model(*dataset, str(base), str(tmp_path / "model"), "r", **settings)
    assert not list(tmp_path.iterdir())


def test_an_empty_dataset_is_refused(tmp_path, base, new_dataset):
    empty = new_dataset(tmp_path / "data", [])
    with pytest.raises(ValueError, match="no training rows"):
        train.train_model(*empty, str(base), str(tmp_path / "model"), "r")


def test_more_processes_than_rows_are_refused(tmp_path, base, new_dataset, some_rows):
    one = new_dataset(tmp_path / "data", some_rows(1))
    with pytest.raises(ValueError, match="2 training processes for 1 rows"):
        train.train_model(*one, str(base), str(tmp_path / "model"), "r")


def test_a_missing_dataset_or_manifest_is_named(tmp_path, base, dataset):
    with pytest.raises(FileNotFoundError, match="training rows nowhere"):
        train.train_model("nowhere", dataset[1], str(base), str(tmp_path / "model"), "r")
    with pytest.raises(FileNotFoundError, match="dataset manifest nowhere"):
        train.train_model(dataset[0], "nowhere", str(base), str(tmp_path / "model"), "r")

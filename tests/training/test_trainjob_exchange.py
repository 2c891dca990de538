"""Handing a job over through an object store (here under file://): inputs once, checkpoints whole, the result last."""

import json

import pytest

from flywheel.components.training import checkpoints, exchange
from flywheel.components.training.job import TrainingJob


@pytest.fixture
def handed_over(tmp_path):
    """A job in the store, as the launcher leaves it."""
    for name in ("base", "sft"):
        (tmp_path / name / "part").mkdir(parents=True)
        (tmp_path / name / "part" / "file").write_text(name)
    store = exchange.ObjectFolder(f"file://{tmp_path}/store")
    job = TrainingJob(
        run_id="r",
        base_model=exchange.put_input(store, str(tmp_path / "base"), "bases/b1"),
        base_digest="b1",
        dataset=exchange.put_input(store, str(tmp_path / "sft"), "datasets/d1"),
        dataset_digest="d1",
        work=f"{store.uri}/jobs/j",
        processes=1,
        code_version="1",
    )
    store.write("jobs/j/job.json", job.to_json().encode())
    return store, f"{store.uri}/jobs/j/job.json", tmp_path


def checkpoint(work, step, whole=True):
    folder = work / f"{checkpoints.PREFIX}{step}"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "state.pt").write_text(f"state {step}")
    if whole:
        checkpoints.mark_complete(folder)
    return folder


def test_inputs_come_to_the_pod_and_are_uploaded_once(handed_over):
    store, uri, folder = handed_over
    mirror = exchange.Mirror(uri, folder / "scratch")
    job = TrainingJob.read(mirror.job_file)
    assert (folder / "scratch" / "base_model" / "part" / "file").read_text() == "base"
    assert job.base_model == str(folder / "scratch" / "base_model") and job.work == str(mirror.work)
    assert job.fingerprint() == TrainingJob.model_validate_json(store.read("jobs/j/job.json")).fingerprint()
    (folder / "base" / "part" / "file").write_text("other content under the same digest")
    exchange.put_input(store, str(folder / "base"), "bases/b1")
    assert store.read("bases/b1/part/file") == b"base"


def test_an_upload_that_was_cut_is_done_again(handed_over):
    store, _, folder = handed_over
    store.remove(f"bases/b1/{exchange.COMPLETE}")  # the kill came before the last word
    store.write("bases/b1/part/file", b"ba")
    exchange.put_input(store, str(folder / "base"), "bases/b1")
    assert store.read("bases/b1/part/file") == b"base"


def test_whole_checkpoints_are_carried_and_the_next_pod_continues_from_them(handed_over, monkeypatch):
    store, uri, folder = handed_over
    monkeypatch.setattr(exchange, "_EVERY", 0.02)
    with pytest.raises(KeyboardInterrupt), exchange.Mirror(uri, folder / "one") as mirror:
        checkpoint(mirror.work, 2)
        checkpoint(mirror.work, 4, whole=False)  # being written when the pod dies
        (mirror.work / "progress.jsonl").write_text("{}\n")
        raise KeyboardInterrupt
    assert store.has("jobs/j/checkpoint-2/complete.json") and not store.names("jobs/j/checkpoint-4")
    assert store.read("jobs/j/progress.jsonl") == b"{}\n" and not store.has("jobs/j/result.json")
    with exchange.Mirror(uri, folder / "two") as again:
        newest = checkpoints.newest_complete(again.work)
        assert newest is not None and (newest / "deep" / "state.pt").read_text() == "state 2"
        checkpoint(again.work, 6)
        (again.work / "checkpoint-2" / "deep" / "state.pt").unlink()
        (again.work / "checkpoint-2" / "deep").rmdir()
        for path in (again.work / "checkpoint-2").iterdir():
            path.unlink()
        (again.work / "checkpoint-2").rmdir()  # the Trainer keeps the newest ones
        (again.work / "export").mkdir()
        (again.work / "export" / "model.safetensors").write_text("weights")
        (again.work / "result.json").write_text(json.dumps({"done": True}))
    assert store.has("jobs/j/checkpoint-6/complete.json")
    assert not store.names("jobs/j/checkpoint-2")
    assert store.read("jobs/j/export/model.safetensors") == b"weights" and store.has("jobs/j/result.json")


def test_a_checkpoint_without_its_last_word_is_not_continued_from(handed_over):
    store, uri, folder = handed_over
    store.write("jobs/j/checkpoint-8/deep/state.pt", b"half")  # the upload was cut
    assert checkpoints.newest_complete(exchange.Mirror(uri, folder / "s").work) is None


def test_what_is_not_there_is_named(handed_over, tmp_path):
    with pytest.raises(FileNotFoundError, match="job file file://.*nothing.json: no such object"):
        exchange.Mirror(f"file://{tmp_path}/store/jobs/j/nothing.json", tmp_path / "s")
    with pytest.raises(ValueError, match="give an s3://, gs:// or abfs:// URI"):
        exchange.ObjectFolder("gopher://x/y")

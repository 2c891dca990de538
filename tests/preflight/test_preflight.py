import json
import os
import struct

import pytest

from flywheel.components.preflight import inputs
from flywheel.components.preflight.model_folder import ModelFolderError, check_model_folder, model_folder_problems


def write_safetensors(path, extra=b""):
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0\0\0\0" + extra)


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    write_safetensors(folder / "model.safetensors")
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "tokenizer.json").write_text("{}")
    return folder


@pytest.fixture
def logs(tmp_path):
    path = tmp_path / "logs.jsonl"
    path.write_text("{}\n")
    return path


def test_good_folder(model):
    assert check_model_folder(model) == model


def test_our_safetensors_check_agrees_with_the_library(model):
    from safetensors import safe_open

    with safe_open(model / "model.safetensors", "np") as file:
        assert list(file.keys()) == ["w"]


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda m: (m / "model.safetensors").unlink(), "no *.safetensors"),
        (lambda m: (m / "pytorch_model.bin").write_bytes(b"x"), "pickles"),
        (lambda m: (m / "config.json").unlink(), "config.json"),
        (lambda m: (m / "config.json").write_text("{"), "not JSON"),
        (lambda m: (m / "config.json").write_text('{"model_type": "x", "auto_map": {"a": "b"}}'), "auto_map"),
        (lambda m: (m / "tokenizer.json").unlink(), "tokenizer"),
        (lambda m: (m / "model.safetensors").write_bytes(b"\xff" * 40), "cut off"),
        (lambda m: write_safetensors(m / "model.safetensors", extra=b"more"), "header says"),
        (lambda m: (m / "model.safetensors").write_bytes(b""), "cut off"),
    ],
)
def test_each_problem_is_named(model, spoil, word):
    spoil(model)
    with pytest.raises(ModelFolderError) as raised:
        check_model_folder(model)
    assert word in str(raised.value)


def test_missing_folder_and_file(tmp_path, logs):
    assert "no such folder" in model_folder_problems(tmp_path / "nope")[0]
    assert "it is a file" in model_folder_problems(logs)[0]


def test_good_inputs_say_what_was_not_given(model, logs, tmp_path):
    notes = inputs.check(str(logs), str(model), str(tmp_path / "store"))
    assert len(notes) == 3


def test_all_problems_in_one_message(model, tmp_path):
    golden = tmp_path / "golden.jsonl"
    golden.write_text('{"item_id": "1"}\nnot json\n')
    replay = tmp_path / "replay.jsonl"
    replay.write_text('{"text": "x"}\n')
    (model / "model.safetensors").unlink()
    with pytest.raises(inputs.InputError) as raised:
        inputs.check("/nope/*.jsonl", str(model), "/proc/1/x", str(replay), str(golden), "/nope")
    message = str(raised.value)
    for words in (
        "logs: no file",
        "no *.safetensors",
        "replay.jsonl:1",
        "golden.jsonl:1",
        "golden.jsonl:2",
        "traffic: no file",
    ):
        assert words in message


def test_many_bad_lines_are_counted(model, logs, tmp_path):
    traffic = tmp_path / "traffic.jsonl"
    traffic.write_text("[]\n" * 50)
    with pytest.raises(inputs.InputError, match="45 more such lines"):
        inputs.check(str(logs), str(model), str(tmp_path), traffic=str(traffic))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_log(model, logs, tmp_path):
    logs.chmod(0)
    with pytest.raises(inputs.InputError, match="permissions"):
        inputs.check(str(logs), str(model), str(tmp_path))


def test_missing_shard_is_named(model):
    index = {"weight_map": {"w": "model.safetensors", "v": "model-00002-of-00002.safetensors"}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelFolderError, match="lacks the shards model-00002-of-00002.safetensors"):
        check_model_folder(model)


@pytest.mark.parametrize(
    ("name", "content", "log_format", "words"),
    [
        ("picture.jsonl", b"\x89PNG\r\n\x1a\n\xff\xfe", "auto", "none of its first"),
        ("table.parquet", b"not parquet", "auto", "not a Parquet file"),
        ("fine.jsonl", b"{}\n", "xml", "unknown format 'xml'"),
    ],
)
def test_log_content(model, tmp_path, name, content, log_format, words):
    logs = tmp_path / name
    logs.write_bytes(content)
    with pytest.raises(inputs.InputError, match=words):
        inputs.check(str(logs), str(model), str(tmp_path / "store"), log_format=log_format)


def test_preflight_needs_no_torch():
    import subprocess
    import sys

    code = (
        "import sys; from flywheel.components.preflight import inputs, model_folder;"
        "bad = {'torch', 'transformers', 'kfp', 're2', 'deltalake'} & set(sys.modules); sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_component_in_the_local_runner(model, logs, tmp_path):
    from kfp import local

    from flywheel.components.preflight.component import check_inputs
    from flywheel.components.store import lineage

    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "out"), raise_on_error=True)
    store = str(tmp_path / "store")
    task = check_inputs(
        logs=str(logs),
        log_format="auto",
        production_model=str(model),
        replay_data="",
        golden="",
        traffic="",
        store=store,
        run_id="",
        job_id="job-1",
    )
    assert task.output == "job-1"
    assert [record.step for record in lineage.steps(store, "job-1")] == ["check_inputs"]


def test_an_empty_log_is_no_problem(model, tmp_path):
    logs = tmp_path / "empty.jsonl"
    logs.write_bytes(b"\n\n")
    inputs.check(str(logs), str(model), str(tmp_path / "store"))  # the trigger will hold: not enough data

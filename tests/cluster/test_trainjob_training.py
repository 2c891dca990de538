"""Whole training steps: the TrainJob's own command is run, node by node, as the controller and the kubelet would."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from flywheel.components.cluster.resources import TRAIN_JOBS
from flywheel.components.store import lineage
from flywheel.components.training import train, weights
from flywheel.components.training.cluster.launcher import TrainJobBackend
from flywheel.components.training.cluster.settings import TrainingCluster
from flywheel.components.training.failure import TrainingFailed
from flywheel.components.training.job import Hyperparameters

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
FAST = Hyperparameters(epochs=1.0, learning_rate=1e-2, batch_size=8)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A tiny model and a dataset (tests/training)."""
    path = Path(__file__).parents[1] / "training" / "conftest.py"
    spec = importlib.util.spec_from_file_location("training_world", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("world")
    return module.make_model(folder / "base"), module.write_dataset(folder / "data", module.rows(64))


def nodes_of(trainer, job, scratch):
    """A controller: start every node's command with the variables that Kubeflow Trainer injects, and report its end."""
    spec = job["spec"]["trainer"]
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = [
        sys.executable if word == "python" else word.replace("/scratch", str(scratch)) for word in spec["command"]
    ]
    started = []
    for node in range(spec["numNodes"]):
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PET_", "FLYWHEEL_"))}
        environment |= {one["name"]: one["value"] for one in spec["env"]}
        environment |= {
            "PET_NNODES": str(spec["numNodes"]),
            "PET_NPROC_PER_NODE": str(spec["numProcPerNode"]),
            "PET_NODE_RANK": str(node),
            "PET_MASTER_ADDR": "127.0.0.1",
            "PET_MASTER_PORT": str(port),
        }
        pod = trainer.running(job, node)
        started.append(
            (
                node,
                pod,
                subprocess.Popen(
                    [*command, *spec["args"]],
                    env=environment,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                ),
            )
        )
    statuses = []
    for node, pod, process in started:
        trainer.logs[pod], _ = process.communicate(timeout=400)
        statuses.append(process.returncode)
        if process.returncode:
            trainer.failed(job, node, status=process.returncode)
    trainer.statuses = statuses
    if any(statuses):
        trainer.fail(job)
    else:
        trainer.complete(job)


def launch(run, world, output, base=None, **options):
    run.play(lambda trainer, job: nodes_of(trainer, job, run.folder / "scratch"))
    made_base, dataset = world
    settings = TrainingCluster.of({**run.settings(), "gpus_per_node": 0, **options})
    cluster = run.bench.cluster_for("flywheel-launcher", namespace=run.bench.space, seconds=30)
    backend = TrainJobBackend(settings, cluster, run.trainer.log, look_every=1.0)
    said = []
    done = train.train_model(
        *dataset,
        str(base or made_base),
        str(output),
        "run-1",
        launcher="trainjob",
        zero_stage=-1,
        hyperparameters=FAST,
        backend=backend,
        record=str(output.parent / "record"),
        say=said.append,
    )
    return done, said


def test_two_nodes_on_a_shared_volume_make_the_model_of_the_local_launcher(run, world, tmp_path):
    done, said = launch(run, world, tmp_path / "model", nodes=2)
    assert done.manifest.config["processes"] == 2 and done.manifest.config["zero_stage"] == 0
    assert "ZeRO stage 0 is the lowest that fits" in done.notes[0]
    assert weights.model_digest(tmp_path / "model") == done.manifest.digest != done.manifest.base_digest
    assert any("step 8/8" in line or "step 4/4" in line for line in said), said
    assert run.trainer.statuses == [0, 0] and len(run.trainer.made) == 1
    assert json.loads((tmp_path / "record" / "job.json").read_text())["processes"] == 2
    assert (tmp_path / "record" / "trainjob.yaml").is_file()
    base, dataset = world
    local = train.train_model(
        *dataset,
        str(base),
        str(tmp_path / "local"),
        "run-1",
        zero_stage=0,
        processes=2,
        hyperparameters=FAST,
        say=lambda _: None,
    )
    assert [step for step, _ in local.loss] == [step for step, _ in done.loss]
    assert done.loss[-1][1] == pytest.approx(local.loss[-1][1], abs=1e-3)


def test_one_node_hands_over_through_an_object_store(run, world, tmp_path):
    store = tmp_path / "bucket"
    done, said = launch(run, world, tmp_path / "model", exchange=f"file://{store}")
    assert weights.model_digest(tmp_path / "model") == done.manifest.digest
    assert any("step" in line for line in said)
    [job] = list((store / "jobs").iterdir())
    assert (job / "result.json").is_file() and (job / "launch" / "trainjob.yaml").is_file()
    assert (store / "bases" / done.manifest.base_digest / "complete.json").is_file()
    again, _ = launch(run, world, tmp_path / "again" / "model", exchange=f"file://{store}")
    assert again.adopted and again.manifest.digest == done.manifest.digest and len(run.trainer.made) == 1


def test_a_loss_that_is_no_number_ends_with_status_64_and_is_not_tried_again(run, world, tmp_path):
    import torch
    from safetensors.torch import load_file, save_file

    broken = tmp_path / "broken"
    broken.mkdir()
    for file in world[0].iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    state = load_file(broken / "model.safetensors")
    state["model.norm.weight"] = torch.full_like(state["model.norm.weight"], float("nan"))
    save_file(state, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        TrainingFailed, match="USER_CODE: the loss is nan .* at step 1: training has diverged"
    ) as caught:
        launch(run, world, tmp_path / "model", base=broken)
    assert run.trainer.statuses == [64] and caught.value.kind == "fatal" and len(run.trainer.made) == 1
    assert not (tmp_path / "model").exists()


def test_the_component_launches_a_train_job(run, world, tmp_path, kubeconfig, api_server, monkeypatch):
    from kfp import dsl, local

    from flywheel.components.training.component import train_model

    path = kubeconfig(api_server, "flywheel-launcher", run.bench.space)
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    run.play(lambda trainer, job: nodes_of(trainer, job, run.folder / "scratch"))
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"), raise_on_error=True)
    base, (sft_folder, manifest_file) = world

    @dsl.pipeline
    def turn(store: str, base_model: str, cluster: dict) -> str:
        sft = dsl.importer(artifact_uri=sft_folder, artifact_class=dsl.Dataset)
        manifest = dsl.importer(artifact_uri=manifest_file, artifact_class=dsl.Artifact)
        task = train_model(
            sft=sft.output,
            manifest=manifest.output,
            base_model=base_model,
            store=store,
            run_id="run-1",
            launcher="trainjob",
            cluster=cluster,
            zero_stage=-1,
            epochs=1.0,
            batch_size=8,
            learning_rate=1e-2,
        )
        return task.outputs["Output"]

    options = {**run.settings(), "gpus_per_node": 0, "nodes": 1}
    digest = turn(store=str(tmp_path / "store"), base_model=str(base), cluster=options).output
    [record] = lineage.steps(str(tmp_path / "store"), "run-1")
    assert record.details["manifest"]["digest"] == digest
    assert (
        record.details["launch"]["launcher"] == "trainjob" and record.details["launch"]["namespace"] == run.bench.space
    )
    assert "ZeRO stage 0" in record.details["notes"][0]
    assert record.details["launch"]["name"] == run.admin.list(TRAIN_JOBS)["items"][0]["metadata"]["name"]
    kept = list((tmp_path / "root").rglob("trainjob.yaml"))
    assert kept and kept[0].parent.name == "job"

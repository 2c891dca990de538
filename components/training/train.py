"""The training step: from dataset manifest and base model to a model folder with its manifest."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flywheel.components.contracts.dataset import DatasetManifest
from flywheel.components.contracts.lineage import RowCounts
from flywheel.components.contracts.model import ModelManifest
from flywheel.components.preflight.model_folder import check_model_folder
from flywheel.components.training import weights, zero_stage
from flywheel.components.training.backend import Backend, LocalBackend, World
from flywheel.components.training.job import Hyperparameters, TrainingJob, TrainingResult
from flywheel.components.training.model_size import model_size


@dataclass(frozen=True)
class Trained:
    """What the step did."""

    manifest: ModelManifest
    rows: RowCounts
    loss: list[tuple[int, float]]
    tokens_per_second: float
    adopted: bool  # the model was there already: nothing was trained
    notes: tuple[str, ...]
    launch: dict[str, Any] = field(default_factory=dict)  # how the launcher ran it

    def outcome(self) -> str:
        """Say how the step ended: "trained" or "adopted"."""
        return "adopted" if self.adopted else "trained"

    def caption(self) -> str:
        """Describe the run in one sentence."""
        facts = self.manifest.metrics
        return (
            f"{self.rows.accepted} rows, {facts['steps']:.0f} steps, {self.tokens_per_second:,.0f} tokens/s, "
            f"last loss {facts['loss']:.4f}; model {self.manifest.digest[:12]}"
        )

    def details(self) -> dict[str, Any]:
        """What the report draws."""
        return {
            "manifest": self.manifest.model_dump(mode="json", by_alias=True),
            "loss": [[step, value] for step, value in self.loss],
            "tokens_per_second": self.tokens_per_second,
            "notes": list(self.notes),
            "launch": self.launch,
        }


def train_model(
    sft: str,
    manifest: str,
    base_model: str,
    output: str,
    run_id: str,
    *,
    launcher: str = "local",
    processes: int = 2,
    zero_stage: int = 2,
    hyperparameters: Hyperparameters | None = None,
    seed: int = 7,
    work: str = "",
    timeout_seconds: float = 86400.0,
    backend: Backend | None = None,
    record: str = "",
    say: Callable[[str], None] = print,
) -> Trained:
    """Fine-tune the base model on a dataset; a job that was done before is taken over, one that was killed continues.

    Args:
        sft: Folder of the training rows (`datasets.save_to_disk`).
        manifest: Dataset manifest file.
        base_model: Folder of any causal language model with safetensors and a tokenizer.
        output: Model folder to make.
        run_id: Run that the model belongs to.
        launcher: "local", or the name of `backend`'s.
        processes: Training processes; on GPUs one each.
        zero_stage: DeepSpeed ZeRO stage, 0 to 3; -1: the lowest that fits model and devices.
        hyperparameters: What shapes the weights; None: the defaults.
        seed: Of data order and of everything random.
        work: Folder for the jobs' work folders; "": next to the output. A volume that outlives the pod, on a cluster.
        timeout_seconds: Wall time for one attempt of the local launcher.
        backend: Where to run the job; None: on this machine.
        record: Folder to copy what the launcher kept of the job into; "": nowhere.
        say: Called with lines of progress.

    Returns:
        The model's manifest and what the report draws.

    Raises:
        ValueError: Settings, base model or dataset cannot be used; nothing was started.
        FileNotFoundError: Something named is not there.
        TrainingFailed: The processes gave no model.
    """
    if backend is None and launcher != "local":
        raise ValueError(
            f"launcher {launcher!r} is not available: take 'local' (torchrun on this machine) or, in the train_model "
            "step, 'trainjob' (Kubeflow Trainer)"
        )
    where = backend or LocalBackend(work, timeout_seconds)
    dataset = DatasetManifest.read(_existing(manifest, "dataset manifest"))
    settings = hyperparameters or Hyperparameters()
    _check_inputs(dataset, sft, base_model, zero_stage)
    world = where.world(processes, dataset.splits["sft"].rows)
    stage, reason = _stage(base_model, world, zero_stage, settings)
    if reason:
        say(f"training: {reason}")
    job = _job(dataset, sft, base_model, run_id, world, stage, settings, seed)
    target = Path(output)
    job = job.model_copy(update={"work": str(where.folder(job.fingerprint(), target).absolute())})
    launched = where.launch(job, say)
    if record:
        _keep(Path(job.work), Path(record))
    result = launched.result
    found = weights.published(target, result.fingerprint)
    made = found if found is not None and found.run_id == run_id else _manifest(dataset, job, result)
    if made is not found:
        weights.publish(Path(job.work) / "export", target, made)
    for note in result.notes:
        say(f"training: note: {note}")
    counts = RowCounts(rows_in=result.rows, accepted=result.rows_trained, quarantined=result.rows_left_out)
    notes = (*([reason] if reason else []), *result.notes)
    return Trained(made, counts, list(result.loss), result.tokens_per_second, launched.adopted, notes, launched.details)


def _check_inputs(dataset: DatasetManifest, sft: str, base_model: str, stage: int) -> None:
    """Check everything that can be checked before an hour is spent."""
    split = dataset.splits.get("sft")
    if split is None or split.rows == 0:
        raise ValueError(
            "the dataset has no training rows: no correction was accepted and no replay data was given, "
            "so there is nothing to train on"
        )
    if not (Path(sft) / "state.json").is_file():
        raise FileNotFoundError(f"training rows {sft}: no such Hugging Face dataset folder (datasets.save_to_disk)")
    check_model_folder(base_model)
    if stage not in (zero_stage.AUTO, *zero_stage.STAGES):
        raise ValueError(f"zero_stage is {stage}; DeepSpeed has ZeRO stages 0, 1, 2 and 3, and -1 chooses one")


def _stage(base_model: str, world: World, asked: int, settings: Hyperparameters) -> tuple[zero_stage.Stage, str]:
    """Take the stage that was asked for, or choose one and say why."""
    if asked in zero_stage.STAGES:
        return zero_stage.STAGES[asked], ""
    if not world.device_bytes:
        raise ValueError(
            "zero_stage is -1 (automatic), but the devices' memory is not known; give `gpu_memory_gib` in `cluster` "
            "(80 for an H100, 141 for an H200), or a stage from 0 to 3"
        )
    rows, length = settings.batch_size, settings.max_length
    choice = zero_stage.choose(model_size(base_model), world.processes, world.device_bytes, rows, length, world.device)
    return choice.stage, choice.reason


def _job(
    dataset: DatasetManifest,
    sft: str,
    base_model: str,
    run_id: str,
    world: World,
    stage: zero_stage.Stage,
    hyperparameters: Hyperparameters,
    seed: int,
) -> TrainingJob:
    return TrainingJob(
        run_id=run_id,
        base_model=str(Path(base_model).absolute()),
        base_digest=weights.model_digest(base_model),
        dataset=str(Path(sft).absolute()),
        dataset_digest=dataset.splits["sft"].digest,
        work="",
        processes=world.processes,
        device=world.device,
        zero_stage=stage,
        hyperparameters=hyperparameters,
        seed=seed,
        code_version=version("feedback-flywheel"),
    )


def _manifest(dataset: DatasetManifest, job: TrainingJob, result: TrainingResult) -> ModelManifest:
    """Write down what the model was made from, by and how."""
    return ModelManifest(
        digest=result.digest,
        base_digest=job.base_digest,
        dataset_digest=dataset.digest,
        table_version=dataset.candidates.version if dataset.candidates else None,
        code_version=job.code_version,
        run_id=job.run_id,
        method=job.method,
        config={
            "fingerprint": result.fingerprint,
            "processes": job.processes,
            "zero_stage": job.zero_stage,
            "device": job.device,
            "seed": job.seed,
            **job.hyperparameters.model_dump(mode="json"),
        },
        metrics={
            "loss": result.loss[-1][1],
            "loss_first": result.loss[0][1],
            "token_accuracy": result.token_accuracy,
            "steps": float(result.steps),
            "rows": float(result.rows_trained),
            "tokens_per_epoch": float(result.tokens),
            "tokens_per_second": result.tokens_per_second,
            "train_seconds": result.seconds,
        },
    )


def _keep(work: Path, record: Path) -> None:
    """Copy the job file and, of a TrainJob, its object, events and logs."""
    record.mkdir(parents=True, exist_ok=True)
    if (work / "job.json").is_file():
        shutil.copyfile(work / "job.json", record / "job.json")
    if (work / "launch").is_dir():
        shutil.copytree(work / "launch", record, dirs_exist_ok=True)


def _existing(path: str, what: str) -> Path:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{what} {path}: no such file")
    return Path(path)

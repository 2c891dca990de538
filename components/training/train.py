"""The training step: from dataset manifest and base model to a model folder with its manifest."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flywheel.components.contracts.dataset import DatasetManifest
from flywheel.components.contracts.lineage import RowCounts
from flywheel.components.contracts.model import ModelManifest
from flywheel.components.preflight.model_folder import check_model_folder
from flywheel.components.training import weights
from flywheel.components.training.job import Hyperparameters, TrainingJob, TrainingResult
from flywheel.components.training.local_launcher import launch, result_of
from flywheel.components.training.process_environment import cores, devices

_WORK = ".training-jobs"


@dataclass(frozen=True)
class Trained:
    """What the step did."""

    manifest: ModelManifest
    rows: RowCounts
    loss: list[tuple[int, float]]
    tokens_per_second: float
    adopted: bool  # the model was there already: nothing was trained
    notes: tuple[str, ...]

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
    say: Callable[[str], None] = print,
) -> Trained:
    """Fine-tune the base model on a dataset; a job that was done before is taken over, one that was killed continues.

    Args:
        sft: Folder of the training rows (`datasets.save_to_disk`).
        manifest: Dataset manifest file.
        base_model: Folder of any causal language model with safetensors and a tokenizer.
        output: Model folder to make.
        run_id: Run that the model belongs to.
        launcher: "local".
        processes: Training processes; on GPUs one each.
        zero_stage: DeepSpeed ZeRO stage, 0 to 3.
        hyperparameters: What shapes the weights; None: the defaults.
        seed: Of data order and of everything random.
        work: Folder for the jobs' work folders; "": next to the output. A volume that outlives the pod, on a cluster.
        timeout_seconds: Wall time for one attempt.
        say: Called with lines of progress.

    Returns:
        The model's manifest and what the report draws.

    Raises:
        ValueError: Settings, base model or dataset cannot be used; nothing was started.
        FileNotFoundError: Something named is not there.
        TrainingFailed: The processes gave no model.
    """
    if launcher != "local":
        raise ValueError(
            f"launcher {launcher!r} is not available: this version trains with launcher 'local' (torchrun on this "
            "machine); on a cluster give the step itself GPUs"
        )
    dataset = DatasetManifest.read(_existing(manifest, "dataset manifest"))
    job = _job(dataset, sft, base_model, run_id, processes, zero_stage, hyperparameters or Hyperparameters(), seed)
    target = Path(output)
    folder = (Path(work) if work else target.parent / _WORK) / job.fingerprint()
    job = job.model_copy(update={"work": str(folder.absolute())})
    adopted = result_of(job) is not None
    result = launch(job, say, timeout_seconds)
    found = weights.published(target, result.fingerprint)
    made = found if found is not None and found.run_id == run_id else _manifest(dataset, job, result)
    if made is not found:
        weights.publish(folder / "export", target, made)
    for note in result.notes:
        say(f"training: note: {note}")
    counts = RowCounts(rows_in=result.rows, accepted=result.rows_trained, quarantined=result.rows_left_out)
    return Trained(made, counts, list(result.loss), result.tokens_per_second, adopted, result.notes)


def _job(
    dataset: DatasetManifest,
    sft: str,
    base_model: str,
    run_id: str,
    processes: int,
    zero_stage: int,
    hyperparameters: Hyperparameters,
    seed: int,
) -> TrainingJob:
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
    device, available = devices()
    if zero_stage not in (0, 1, 2, 3):
        raise ValueError(f"zero_stage is {zero_stage}; DeepSpeed has ZeRO stages 0, 1, 2 and 3")
    most = available if device == "cuda" else max(2, cores())
    if not 1 <= processes <= most:
        unit = "GPUs" if device == "cuda" else "CPU cores"
        raise ValueError(f"{processes} training processes on {available} {unit}; give between 1 and {most}")
    if processes > split.rows:
        raise ValueError(f"{processes} training processes for {split.rows} rows; give at most one process a row")
    return TrainingJob(
        run_id=run_id,
        base_model=str(Path(base_model).absolute()),
        base_digest=weights.model_digest(base_model),
        dataset=str(Path(sft).absolute()),
        dataset_digest=split.digest,
        work="",
        processes=processes,
        device=device,
        zero_stage=zero_stage,
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


def _existing(path: str, what: str) -> Path:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{what} {path}: no such file")
    return Path(path)

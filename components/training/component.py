"""The KFP component of the training room."""

from kfp import dsl

from flywheel.components import images


@dsl.component(base_image=images.TRAINING, install_kfp_package=False)
def train_model(
    sft: dsl.Input[dsl.Dataset],
    manifest: dsl.Input[dsl.Artifact],
    base_model: str,
    model: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    curve: dsl.Output[dsl.HTML],
    store: str,
    run_id: str,
    job: dsl.Output[dsl.Artifact],
    launcher: str = "local",
    cluster: dict = {},  # noqa: B006 - KFP reads the default; it is never changed
    processes: int = 2,
    zero_stage: int = 2,
    epochs: float = 3.0,
    learning_rate: float = 5e-4,
    batch_size: int = 32,
    max_length: int = 512,
    seed: int = 7,
) -> str:
    """Fine-tune the base model on the training rows with TRL on DeepSpeed.

    Args:
        sft: Training rows (a Hugging Face dataset folder with prompt and completion).
        manifest: Dataset manifest (`flywheel.dataset/v1`).
        base_model: Folder of the model to start from: safetensors, config, tokenizer.
        model: The new model's folder, with `model.json`.
        metrics: Loss, throughput, rows.
        curve: Loss curve.
        store: Feedback store, a folder or URI.
        run_id: Id of this turn of the flywheel.
        job: What the launcher kept: job file, and of a TrainJob the object, its events and its pods' last log lines.
        launcher: "local" (torchrun on this machine) or "trainjob" (Kubeflow Trainer).
        cluster: Options of "trainjob": nodes, gpus_per_node, queue, ... (components/training/README.md).
        processes: Training processes of "local"; on GPUs one each.
        zero_stage: DeepSpeed ZeRO stage, 0 to 3; -1: the lowest that fits the model and the devices' memory.
        epochs: Passes over the rows.
        learning_rate: Peak learning rate of AdamW.
        batch_size: Rows per process and step.
        max_length: Most tokens of a row; longer rows are left out and counted.
        seed: Of data order and everything random.

    Returns:
        Digest of the model.

    Raises:
        ValueError: Settings, base model or dataset cannot be used.
        TrainingFailed: The training processes gave no model; the message begins with a reason code on a cluster.
    """
    import os
    from datetime import UTC, datetime
    from pathlib import Path

    from flywheel.components.contracts.lineage import StepRecord
    from flywheel.components.store import lineage
    from flywheel.components.training import train
    from flywheel.components.training.cluster.launcher import backend_of
    from flywheel.components.training.job import Hyperparameters
    from flywheel.components.training.loss_curve import loss_curve

    started = datetime.now(UTC)
    settings = Hyperparameters(epochs=epochs, learning_rate=learning_rate, batch_size=batch_size, max_length=max_length)
    done = train.train_model(
        sft.path,
        manifest.path,
        base_model,
        model.path,
        run_id,
        launcher=launcher,
        processes=processes,
        zero_stage=zero_stage,
        hyperparameters=settings,
        seed=seed,
        work=os.environ.get("FLYWHEEL_TRAINING_WORK", ""),
        backend=backend_of(launcher, cluster),
        record=job.path,
    )
    model.metadata.update(digest=done.manifest.digest, base_digest=done.manifest.base_digest, run_id=run_id)
    for name, value in done.manifest.metrics.items():
        metrics.log_metric(name, value)
    Path(curve.path).write_text(loss_curve(done.loss, "Training loss", done.caption()), encoding="utf-8")
    ended = {"started_at": started, "finished_at": datetime.now(UTC), "rows": done.rows, "outcome": done.outcome()}
    record = StepRecord(
        run_id=run_id, step="train_model", metrics=done.manifest.metrics, details=done.details(), **ended
    )
    lineage.record_step(store, record)
    return done.manifest.digest

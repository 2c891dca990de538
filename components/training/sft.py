"""Supervised fine-tuning with TRL on DeepSpeed: the code that every rank runs."""

import json
import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flywheel.components.training import checkpoints, progress, weights
from flywheel.components.training.chat_template import ensure_chat_template
from flywheel.components.training.deepspeed_config import deepspeed_config
from flywheel.components.training.failure import TrainingFailed
from flywheel.components.training.job import TrainingJob, TrainingResult
from flywheel.components.training.tokenization import tokenize

PROGRESS = "progress.jsonl"
RESULT = "result.json"
EXPORT = "export"
_CHECKPOINTS = 5  # over a run, when the job does not say


@dataclass(frozen=True)
class _Prepared:
    """What tokenization found out; rank 0 writes it, all ranks read it."""

    rows: int
    kept: int
    too_long: int
    tokens: int


def train(job: TrainingJob) -> None:
    """Train on all ranks; rank 0 leaves the model in `<work>/export` and then the result in `<work>/result.json`.

    An attempt continues from the newest whole checkpoint in the work folder, if there is one.

    Args:
        job: The job.

    Raises:
        TrainingFailed: The data is not what the manifest says, no row fits, or the loss is no longer finite.
    """
    work, rank = Path(job.work), int(os.environ.get("RANK", "0"))
    if rank == 0:
        progress.append(work / PROGRESS, stage="importing torch, DeepSpeed and TRL")
    _initialise(job)
    import datasets
    import torch
    import transformers
    from trl import SFTTrainer

    from flywheel.components.training.sft_watch import Watch

    tokenizer = transformers.AutoTokenizer.from_pretrained(job.base_model, trust_remote_code=False)
    note = ensure_chat_template(tokenizer)
    resume = checkpoints.newest_complete(work)
    if rank == 0:
        checkpoints.remove_incomplete(work)
        _prepare(job, tokenizer)
    torch.distributed.barrier()
    prepared = _Prepared(**json.loads((work / "tokens.json").read_text(encoding="utf-8")))
    steps = _steps(job, prepared.kept)
    if rank == 0:
        start = f"continuing from step {checkpoints.step_of(resume)}" if resume else "from the start"
        progress.append(work / PROGRESS, stage=f"{prepared.kept} rows, {steps} steps, {start}")
    arguments = _arguments(job, steps)  # before the model: ZeRO-3 splits weights while they are loaded
    base = transformers.AutoModelForCausalLM.from_pretrained(
        job.base_model,
        dtype=torch.float32 if job.device == "cpu" else torch.bfloat16,
        use_safetensors=True,
        trust_remote_code=False,
    )
    watch = Watch(work)
    trainer = SFTTrainer(
        base,
        args=arguments,
        train_dataset=datasets.Dataset.from_file(str(work / "tokens.arrow")),
        processing_class=tokenizer,
        callbacks=[watch],
    )
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    _export(job, trainer, watch, prepared, checkpoints.step_of(resume) if resume else 0, note)
    import deepspeed

    torch.distributed.barrier()
    deepspeed.comm.destroy_process_group()


def _initialise(job: TrainingJob) -> None:
    """Bring up communication before anything else: on CPU, TrainingArguments would come too late for ZeRO-3."""
    import torch

    if job.device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    import deepspeed
    import deepspeed.ops

    # This op is compiled on first use (50 s on two cores), and fails where there is no compiler.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed("gloo" if job.device == "cpu" else "nccl")
    if job.device == "cuda":  # on CPU the same kernels run in the same order anyway
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Filling new memory costs much (fourteen times the step on a busy CPU) and protects nothing that is read.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        # cuDNN plans its attention anew for every shape, and batches differ in length: half the steps a second (H200).
        torch.backends.cuda.enable_cudnn_sdp(False)


def _prepare(job: TrainingJob, tokenizer: Any) -> None:
    """Check the rows against the manifest's digest, tokenize them once for all ranks (memory-mapped from there on)."""
    import datasets

    from flywheel.components.dataset.rows_digest import rows_digest

    work = Path(job.work)
    rows = datasets.load_from_disk(job.dataset)
    found = rows_digest(rows)
    if found != job.dataset_digest:
        raise TrainingFailed(
            f"dataset {job.dataset} is not the one in its manifest: its rows have digest {found[:16]}, the manifest "
            f"says {job.dataset_digest[:16]}; assemble the dataset again"
        )
    maximum = job.hyperparameters.max_length
    encoded = list(tokenize(rows, tokenizer, maximum))
    kept = [row for row in encoded if row is not None]
    if len(kept) < job.processes:
        raise TrainingFailed(
            f"{len(kept)} of {len(encoded)} rows have at most {maximum} tokens, which is too few for {job.processes} "
            "processes; raise max_length or use fewer processes"
        )
    features = datasets.Features(
        {"input_ids": datasets.List(datasets.Value("int32")), "labels": datasets.List(datasets.Value("int64"))}
    )
    temporary = work / ".tokens.arrow"
    with datasets.arrow_writer.ArrowWriter(features=features, path=str(temporary)) as writer:
        for row in kept:
            writer.write(row)
        writer.finalize()
    temporary.replace(work / "tokens.arrow")
    tokens = sum(len(row["input_ids"]) for row in kept)
    facts = {"rows": len(encoded), "kept": len(kept), "too_long": len(encoded) - len(kept), "tokens": tokens}
    (work / ".tokens.json").write_text(json.dumps(facts), encoding="utf-8")
    (work / ".tokens.json").replace(work / "tokens.json")


def _steps(job: TrainingJob, rows: int) -> int:
    """Count optimizer steps: a last, smaller batch of an epoch is a step too."""
    per_epoch = math.ceil(rows / (job.hyperparameters.batch_size * job.processes))
    return max(1, math.ceil(per_epoch * job.hyperparameters.epochs))


def _arguments(job: TrainingJob, steps: int) -> Any:
    from trl import SFTConfig

    settings = job.hyperparameters
    log_every = max(1, steps // 1000)
    save_every = job.save_every_steps or math.ceil(steps / _CHECKPOINTS)
    return SFTConfig(
        output_dir=job.work,
        deepspeed=deepspeed_config(job),
        use_cpu=job.device == "cpu",
        bf16=job.device == "cuda",
        fp16=False,
        activation_checkpointing=job.device == "cuda",
        max_steps=steps,
        per_device_train_batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.schedule,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.gradient_clipping,
        optim="adamw_torch_fused",
        dataset_kwargs={"skip_prepare_dataset": True},
        logging_steps=log_every,
        logging_nan_inf_filter=False,  # a loss that is not a number must be seen
        save_strategy="steps",
        save_steps=math.ceil(save_every / log_every) * log_every,
        save_total_limit=2,  # the older one is whole while the newer is being written
        report_to="none",
        disable_tqdm=True,
        dataloader_num_workers=0,
        dataloader_pin_memory=job.device == "cuda",
        seed=job.seed,
        data_seed=job.seed,
        push_to_hub=False,
    )


def _export(job: TrainingJob, trainer: Any, watch: Any, prepared: _Prepared, resumed_at: int, note: str) -> None:
    """Gather the weights on rank 0 and write the model, then the result: in this order, each by a rename."""
    import torch

    work = Path(job.work)
    state = trainer.accelerator.get_state_dict(trainer.model_wrapped)  # a collective under ZeRO-3: on all ranks
    if not trainer.is_world_process_zero():
        return
    progress.append(work / PROGRESS, stage="writing the model")
    base = Path(job.base_model)
    stored = json.loads((base / "config.json").read_text(encoding="utf-8"))
    name = stored.get("dtype") or stored.get("torch_dtype") or "float32"
    dtype = getattr(torch, name)  # a candidate keeps production's precision, or latencies could not be compared
    if not all(torch.isfinite(tensor).all() for tensor in state.values() if tensor.is_floating_point()):
        raise TrainingFailed("the trained weights are not finite; lower learning_rate")
    state = {key: tensor.to(dtype) if tensor.is_floating_point() else tensor for key, tensor in state.items()}
    staged = work / f".{EXPORT}"
    shutil.rmtree(staged, ignore_errors=True)
    model = trainer.accelerator.unwrap_model(trainer.model)
    for copy in model.all_tied_weights_keys:  # gathering made copies of what the model shares
        state.pop(copy, None)
    model.config.dtype = dtype
    model.save_pretrained(staged, state_dict=state)
    weights.copy_tokenizer(base, staged)
    if note:
        (staged / "chat_template.jinja").write_text(trainer.processing_class.chat_template, encoding="utf-8")
    shutil.rmtree(work / EXPORT, ignore_errors=True)
    staged.replace(work / EXPORT)
    history = [line for line in trainer.state.log_history if "loss" in line]
    TrainingResult(
        fingerprint=job.fingerprint(),
        digest=weights.model_digest(work / EXPORT),
        rows=prepared.rows,
        rows_trained=prepared.kept,
        rows_left_out={"too_long": prepared.too_long} if prepared.too_long else {},
        steps=trainer.state.global_step,
        tokens=prepared.tokens,
        loss=tuple((int(line["step"]), float(line["loss"])) for line in history),
        token_accuracy=float(history[-1].get("mean_token_accuracy", 0.0)),
        resumed_at=resumed_at,
        seconds=watch.seconds(),
        tokens_per_second=watch.tokens_per_second(),
        notes=(note,) if note else (),
    ).write(work / RESULT)

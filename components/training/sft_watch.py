"""The Trainer callback of a job: progress lines, whole checkpoints, and a stop as soon as the loss is not finite."""

import math
import time
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from flywheel.components.training import checkpoints, progress
from flywheel.components.training.failure import TrainingFailed

_LINE_EVERY = 0.5  # seconds between progress lines


class Watch(TrainerCallback):
    """Follows a training loop on every rank; only rank 0 writes."""

    def __init__(self, work: Path):
        """Start watching.

        Args:
            work: The job's folder.
        """
        self.work = work
        self.started = self.ended = self.written = 0.0
        self.first_step = 0
        self.tokens = 0.0  # non-padding tokens of all processes in this attempt, as TRL counts them

    def seconds(self) -> float:
        """Wall time of the training loop so far, checkpoints included."""
        return (self.ended or time.perf_counter()) - self.started

    def tokens_per_second(self) -> float:
        """Non-padding tokens per second over all processes."""
        return self.tokens / max(self.seconds(), 1e-9)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Start the clock: DeepSpeed is up, the first step is next."""
        self.started, self.first_step = time.perf_counter(), state.global_step

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Write a progress line, or stop the job when training has come apart.

        Raises:
            TrainingFailed: Loss or gradient norm is NaN or infinite.
        """
        if not logs or "loss" not in logs:
            return
        loss, norm = float(logs["loss"]), float(logs.get("grad_norm", 0.0))
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise TrainingFailed(
                f"the loss is {loss:g} and the gradient's norm {norm:g} at step {state.global_step}: training has "
                f"diverged; lower learning_rate (now {args.learning_rate:g}), or check the base model's weights"
            )
        self.tokens = float(logs.get("num_tokens", 0.0))
        now = time.perf_counter()
        last = state.global_step >= state.max_steps
        if not state.is_world_process_zero or (now - self.written < _LINE_EVERY and not last):
            return
        self.written = now
        done = max(1, state.global_step - self.first_step)
        progress.append(
            self.work / "progress.jsonl",
            step=state.global_step,
            total=state.max_steps,
            epoch=round(float(state.epoch or 0), 4),
            loss=loss,
            learning_rate=float(logs.get("learning_rate", 0.0)),
            tokens_per_second=round(self.tokens_per_second(), 1),
            seconds_left=round(self.seconds() / done * (state.max_steps - state.global_step), 1),
        )

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Mark the checkpoint as whole once every rank has written its part."""
        torch.distributed.barrier()
        if state.is_world_process_zero:
            checkpoints.mark_complete(self.work / f"{checkpoints.PREFIX}{state.global_step}")

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Stop the clock."""
        self.ended = time.perf_counter()

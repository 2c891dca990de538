"""The job file: everything a training process needs to know, in one JSON document.

The same file is read by a local `torchrun` and by a pod of a TrainJob, so it names paths and numbers and nothing of
the machine it was written on.
"""

import hashlib
import json
from typing import Literal

from pydantic import Field

from flywheel.components.contracts.document import Document


class Hyperparameters(Document):
    """What shapes the weights, besides base model and data."""

    epochs: float = Field(default=3.0, gt=0)
    learning_rate: float = Field(default=5e-4, gt=0)
    batch_size: int = Field(default=32, ge=1)  # rows per process and step
    max_length: int = Field(default=512, ge=8)  # tokens of prompt and completion together
    schedule: Literal["linear", "cosine", "constant_with_warmup"] = "linear"
    warmup: float = Field(default=0.03, ge=0, lt=1)  # share of the steps
    weight_decay: float = Field(default=0.0, ge=0)
    gradient_clipping: float = Field(default=1.0, gt=0)  # largest L2 norm of the gradient


class TrainingJob(Document):
    """One training job."""

    schema_: Literal["flywheel.job/v1"] = Field(default="flywheel.job/v1", alias="schema")
    run_id: str = Field(min_length=1)
    method: Literal["sft"] = "sft"
    base_model: str  # folder with safetensors, config and tokenizer
    base_digest: str
    dataset: str  # folder of a Hugging Face dataset (`save_to_disk`): prompt, completion
    dataset_digest: str  # sha256 over the rows, from the dataset manifest
    work: str  # the job's own folder: checkpoints, logs, progress, and the exported model
    processes: int = Field(ge=1)
    device: Literal["cpu", "cuda"] = "cpu"
    zero_stage: Literal[0, 1, 2, 3] = 2
    hyperparameters: Hyperparameters = Hyperparameters()
    seed: int = 7
    code_version: str
    save_every_steps: int = Field(default=0, ge=0)  # 0: five checkpoints over the run; no influence on the weights

    def fingerprint(self) -> str:
        """Identify the job by what decides its weights.

        Returns:
            32 hex digits of a SHA-256 over base, data, method, settings, world size and code version. Paths, run id
            and checkpoint rhythm are left out: a job that was moved or resumed is the same job.
        """
        names = {"run_id", "base_model", "dataset", "work", "save_every_steps"}
        essence = self.model_dump(mode="json", by_alias=True, exclude=names)
        return hashlib.sha256(json.dumps(essence, sort_keys=True).encode()).hexdigest()[:32]


class TrainingResult(Document):
    """What rank 0 leaves when the model is whole: a job succeeded if and only if this file is there."""

    schema_: Literal["flywheel.training-result/v1"] = Field(default="flywheel.training-result/v1", alias="schema")
    fingerprint: str
    digest: str  # of the exported model folder
    rows: int = Field(ge=0)  # rows of the dataset
    rows_trained: int = Field(ge=1)
    rows_left_out: dict[str, int]  # reason code -> rows
    steps: int = Field(ge=1)
    tokens: int = Field(ge=0)  # non-padding tokens per epoch
    loss: tuple[tuple[int, float], ...]  # (step, mean loss per completion token since the last entry)
    token_accuracy: float  # teacher-forced, on the last batch
    resumed_at: int  # step of the checkpoint the last attempt started from; 0: from the start
    seconds: float  # of the last attempt's training loop
    tokens_per_second: float  # non-padding tokens, all processes together, in the last attempt
    notes: tuple[str, ...] = ()

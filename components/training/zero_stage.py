"""Which ZeRO stage a model needs on given devices: pure arithmetic, with its reasons in words.

Model states follow Rajbhandari et al. 2020 (arXiv 1910.02054, section 3.1 and table 1): mixed-precision Adam keeps
2 bytes of weights, 2 of gradients and 12 of optimizer state (32-bit weights, momentum, variance) for every parameter.
Stage 1 partitions the optimizer state over the processes, stage 2 also the gradients, stage 3 also the weights. Stages
1 and 2 communicate as much as plain data parallelism, stage 3 half as much again (section 7): so the lowest stage that
fits is the fastest. DeepSpeed's step holds 4 bytes more: it casts the gradients to 32 bits beside the optimizer's state
(its own `estimate_zero2_model_states_mem_needs` counts 2 + 18/N; 20 bytes were measured at stage 0 on an H200).

Activations follow Korthikanti et al. 2022 (arXiv 2205.05198, section 4): a layer keeps 34 sbh bytes in 16 bits, plus
5 a s^2 b for attention scores where no fused attention is used; with full recomputation 2 sbh a layer, and one layer
whole.
"""

from dataclasses import dataclass
from typing import Literal

from flywheel.components.training.model_size import ModelSize

AUTO = -1
Stage = Literal[0, 1, 2, 3]
STAGES: tuple[Stage, ...] = (0, 1, 2, 3)
_GB = 1e9  # the paper's, and that of GPU data sheets
HEADROOM = 0.15  # of the device: fragmentation, buckets of collectives, CUDA context, what an estimate cannot see


@dataclass(frozen=True)
class Precision:
    """Bytes for every parameter, by what they hold."""

    weights: int
    gradients: int
    optimizer: int
    words: str

    @property
    def total(self) -> int:
        """Bytes for every parameter where nothing is partitioned."""
        return self.weights + self.gradients + self.optimizer


MIXED = Precision(2, 2, 12, "bf16 mixed-precision Adam")  # of the paper
DEEPSPEED = Precision(2, 2, 16, "bf16 mixed-precision Adam and DeepSpeed's 32-bit copy of the gradients")
FULL = Precision(4, 4, 8, "32-bit Adam")


@dataclass(frozen=True)
class Choice:
    """A stage, and why."""

    stage: Stage
    reason: str
    bytes_per_device: float


def state_bytes(parameters: float, processes: int, stage: Stage, precision: Precision = MIXED) -> float:
    """Bytes of weights, gradients and optimizer state on every device.

    Args:
        parameters: Number of parameters.
        processes: Data-parallel processes that the states are partitioned over.
        stage: ZeRO stage.
        precision: Bytes for every parameter.
    """
    weights, gradients, optimizer = precision.weights, precision.gradients, precision.optimizer
    each = (
        (weights / processes if stage >= 3 else weights)
        + (gradients / processes if stage >= 2 else gradients)
        + (optimizer / processes if stage >= 1 else optimizer)
    )
    return parameters * each


def activation_bytes(size: ModelSize, rows: int, length: int, device: Literal["cpu", "cuda"]) -> float:
    """Bytes of activations on every device at the end of a forward pass, logits and their gradient included.

    On GPUs the job recomputes activations and attention is fused; on CPU neither holds and values have 4 bytes.

    Args:
        size: The model's.
        rows: Rows of a step on one device.
        length: Tokens of a row.
        device: Kind of device.
    """
    tokens = rows * length
    layer = 34.0 * tokens * size.hidden
    if device == "cuda":
        kept, logits = 2.0 * tokens * size.hidden * size.layers + layer, 10.0
    else:
        scores = 5.0 * size.heads * length * tokens
        kept, logits = 2 * size.layers * (layer + scores), 12.0
    return kept + logits * tokens * size.vocabulary


def choose(
    size: ModelSize,
    processes: int,
    device_bytes: float,
    rows: int,
    length: int,
    device: Literal["cpu", "cuda"] = "cuda",
) -> Choice:
    """Choose the lowest stage that fits.

    Args:
        size: The model's.
        processes: Training processes, one a device.
        device_bytes: Memory of one device (on CPU: of one process's share).
        rows: Rows of a step on one device.
        length: Most tokens of a row.
        device: Kind of device.

    Returns:
        The stage with its reason.

    Raises:
        ValueError: No stage fits; the message says what would.
    """
    precision = DEEPSPEED if device == "cuda" else FULL
    states = {stage: state_bytes(size.parameters, processes, stage, precision) for stage in STAGES}
    activations = activation_bytes(size, rows, length, device)
    room = device_bytes * (1 - HEADROOM)
    listed = ", ".join(f"stage {stage}: {_gb(states[stage])}" for stage in STAGES)
    facts = (
        f"{_count(size.parameters)} parameters at {precision.total} bytes ({precision.words}) on {processes} "
        f"process{'es' if processes > 1 else ''} take {listed} each, plus about {_gb(activations)} of activations "
        f"({rows} rows of {length} tokens); a device has {_gb(device_bytes)}, {HEADROOM:.0%} are left free"
    )
    for stage in STAGES:
        if states[stage] + activations <= room:
            return Choice(stage, f"ZeRO stage {stage} is the lowest that fits: {facts}", states[stage] + activations)
    raise ValueError(
        f"the model does not fit at any ZeRO stage: {facts}; {_remedy(size, room, activations, precision)}"
    )


def _remedy(size: ModelSize, room: float, activations: float, precision: Precision) -> str:
    if activations >= room:
        return "lower batch_size or max_length: activations alone fill the device"
    whole = state_bytes(size.parameters, 1, 3, precision)
    needed = -int(-whole // (room - activations))
    return f"use at least {needed} devices of this size, or lower batch_size or max_length"


def _gb(count: float) -> str:
    return f"{count / _GB:,.1f} GB" if count >= 0.05 * _GB else f"{count / 1e6:,.1f} MB"


def _count(parameters: int) -> str:
    for unit, name in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if parameters >= unit:
            return f"{parameters / unit:,.2f} {name}"
    return str(parameters)

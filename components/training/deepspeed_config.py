"""DeepSpeed's configuration for a job, in the shape that the Hugging Face Trainer completes."""

from typing import Any

from flywheel.components.training.job import TrainingJob


def deepspeed_config(job: TrainingJob) -> dict[str, Any]:
    """Build the configuration: ZeRO stage 0-3 (Rajbhandari et al. 2020, arXiv 1910.02054), fp32 on CPU, bf16 on GPU.

    What is "auto" is filled in by the Trainer from its own arguments, so that the two cannot disagree
    (`train_batch_size` above all: DeepSpeed checks it against the world size).

    Args:
        job: The job.

    Returns:
        A DeepSpeed configuration.
    """
    zero: dict[str, Any] = {"stage": job.zero_stage}
    if job.zero_stage > 0:
        zero |= {"contiguous_gradients": True, "overlap_comm": job.device == "cuda"}
    if job.zero_stage == 3:
        # The export gathers whole weights on rank 0; without this a stage 3 model cannot be saved.
        zero |= {"stage3_gather_16bit_weights_on_model_save": True}
    return {
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "bf16": {"enabled": job.device == "cuda"},
        "zero_optimization": zero,
        "steps_per_print": 2**31 - 1,
        "wall_clock_breakdown": False,
    }

"""The environment of training processes: offline, quiet, deterministic, and DeepSpeed on the right device."""

import importlib.metadata
import os
import re
from pathlib import Path
from typing import Literal

from flywheel.components.training.job import TrainingJob

LAUNCHER = "FLYWHEEL_LAUNCHER_PID"
_SAME_EVERYWHERE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "TORCHDYNAMO_DISABLE": "1",  # nothing is compiled here; only importing the compiler costs a second
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
}
_ON_GPU = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}  # deterministic cuBLAS


def cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def devices() -> tuple[Literal["cpu", "cuda"], int]:
    """Find out what to train on without importing torch (it costs a second).

    Returns:
        ("cuda", number of GPUs visible) when there is one and torch was built for it, else ("cpu", cores).
    """
    nodes = [node for node in Path("/dev").glob("nvidia*") if re.fullmatch(r"nvidia\d+", node.name)]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = (
        len(nodes) if visible is None else len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    )
    on_cpu = os.environ.get("DS_ACCELERATOR") == "cpu" or importlib.metadata.version("torch").endswith("+cpu")
    if on_cpu or not nodes or not count:
        return "cpu", cores()
    return "cuda", min(count, len(nodes))


def process_environment(job: TrainingJob) -> dict[str, str]:
    """Build the environment for `torchrun` and its workers.

    Args:
        job: The job; `job.work` also holds the folder for compiled ops, one per job: a process killed while building
            one leaves a lock there that a later process would wait for without end (pytorch issue 189245).

    Returns:
        All of this process's variables with ours on top.
    """
    environment = dict(os.environ)
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        environment.pop(name, None)  # we may ourselves run below a launcher
    environment |= _SAME_EVERYWHERE | {
        LAUNCHER: str(os.getpid()),
        "TORCH_EXTENSIONS_DIR": str(Path(job.work) / "torch_extensions"),
    }
    if job.device == "cpu":
        environment |= {
            "DS_ACCELERATOR": "cpu",
            "CUDA_VISIBLE_DEVICES": "",
            # Always set, whatever the caller's is: the number of threads changes the order of sums, hence the weights.
            "OMP_NUM_THREADS": str(max(1, cores() // job.processes)),
        }
    else:
        environment |= _ON_GPU
    return environment


def pod_environment(job: TrainingJob) -> dict[str, str]:
    """Build the environment of a training pod: the same as here, less what the pod knows better.

    Folders for caches are the runtime's (a pod's own disk); threads are bound where the pod's processes are known.
    """
    if job.device == "cuda":
        return _SAME_EVERYWHERE | _ON_GPU
    return _SAME_EVERYWHERE | {"DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}

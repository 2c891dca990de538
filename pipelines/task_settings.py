"""Settings that every task of our pipelines gets: no cache where a step has side effects, and limits."""

from kfp import dsl, kubernetes

# Kubernetes secret with the key `pseudonym-key`; on one machine the same variable is read from the environment.
PSEUDONYM_SECRET = "flywheel-pseudonym-key"
# Optional Kubernetes secret with the keys `judge-key`, `attacker-key` and `label-studio-token`.
ENDPOINT_SECRET = "flywheel-endpoint-keys"
# PersistentVolumeClaim of manifests/base, and where the training step and the pods of its TrainJob mount it.
WORKSPACE_CLAIM = "flywheel-workspace"
WORKSPACE = "/workspace"


def step(task: dsl.PipelineTask, cpu: str = "2", memory: str = "4Gi", hours: int = 2) -> dsl.PipelineTask:
    """Switch the cache off and bound resources and time.

    Every step writes its record (and mostly rows) into the store: a cached result would skip that.

    Args:
        task: The task to set.
        cpu: Limit, Kubernetes CPU quantity.
        memory: Limit, Kubernetes memory quantity.
        hours: Longest time; a step that hangs must not hold its pod for ever.
    """
    task.set_caching_options(False).set_cpu_limit(cpu).set_memory_limit(memory)
    return kubernetes.set_timeout(task, hours * 3600)


def with_workspace(task: dsl.PipelineTask) -> dsl.PipelineTask:
    """Mount the volume that a training step shares with the pods of its TrainJob; one machine needs none."""
    return kubernetes.mount_pvc(task, pvc_name=WORKSPACE_CLAIM, mount_path=WORKSPACE)


def with_endpoint_keys(task: dsl.PipelineTask) -> dsl.PipelineTask:
    """Give a task that asks language models or Label Studio their keys, where the namespace has them.

    Name the variable in `judge_key_variable` or `attacker_key_variable`; the key itself is never a parameter.
    """
    keys = {
        "judge-key": "FLYWHEEL_JUDGE_KEY",
        "attacker-key": "FLYWHEEL_ATTACKER_KEY",
        "label-studio-token": "FLYWHEEL_LABEL_STUDIO_TOKEN",
    }
    return kubernetes.use_secret_as_env(task, secret_name=ENDPOINT_SECRET, secret_key_to_env=keys, optional=True)


def with_pseudonym_key(task: dsl.PipelineTask) -> dsl.PipelineTask:
    """Give an intake task the key of the subject pseudonyms, as a secret and never as a parameter."""
    return kubernetes.use_secret_as_env(
        task, secret_name=PSEUDONYM_SECRET, secret_key_to_env={"pseudonym-key": "FLYWHEEL_PSEUDONYM_KEY"}
    )

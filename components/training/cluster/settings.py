"""What the user says about the cluster: the step's parameter `cluster`, checked before anything is sent."""

import re
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from flywheel.components.cluster.names import MOST, check_name
from flywheel.components.contracts.document import Document

_QUANTITY = re.compile(r"\d+(\.\d+)?(m|[kMGTPE]i?)?")


class Toleration(Document):
    """A Kubernetes toleration."""

    key: str = ""
    operator: Literal["Exists", "Equal"] = "Equal"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""

    def body(self) -> dict[str, str]:
        """As the API takes it: without what is empty."""
        return {key: value for key, value in self.model_dump().items() if value}


class TrainingCluster(Document):
    """Where and with what a TrainJob runs; the defaults fit manifests/base."""

    namespace: str = ""  # "": the step's own
    runtime: str = "flywheel-deepspeed"  # TrainingRuntime of the namespace
    image: str = ""  # "": the runtime's, which overlays pin by digest
    nodes: int = Field(default=1, ge=1, le=1024)
    gpus_per_node: int = Field(default=1, ge=0, le=64)  # 0: train on CPU
    processes_per_node: int = Field(default=0, ge=0, le=64)  # 0: one for each GPU, on CPU one
    gpu_resource: str = "nvidia.com/gpu"
    gpu_memory_gib: float = Field(default=0.0, ge=0)  # of one GPU, for zero_stage -1
    cpu: str = "8"  # of one node
    memory: str = "64Gi"  # of one node
    queue: str = ""  # Kueue LocalQueue; "": no Kueue
    priority: str = ""  # Kueue WorkloadPriorityClass
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    service_account: str = ""  # of the training pods; "": the namespace's default
    image_pull_secrets: tuple[str, ...] = ()
    environment: dict[str, str] = Field(default_factory=dict)  # for the training pods
    secret_environment: dict[str, str] = Field(default_factory=dict)  # variable -> "secret/key"
    claim: str = "flywheel-workspace"  # PVC with inputs, checkpoints and results
    workspace: str = "/workspace"  # where steps and training pods mount it
    exchange: str = ""  # s3://, gs:// or abfs:// URI instead of the PVC
    timeout_seconds: float = Field(default=86400.0, gt=0)  # for training, from admission on
    queue_seconds: float = Field(default=21600.0, gt=0)  # until the first training process runs
    pull_seconds: float = Field(default=300.0, ge=0)  # how long a pod may fail to start on its node
    attempts: int = Field(default=3, ge=1, le=10)  # TrainJobs, one after the other, after failures that may pass

    @field_validator("namespace", "runtime", "queue", "priority", "service_account", "claim")
    @classmethod
    def _name(cls, value: str, info: Any) -> str:
        return check_name(value, info.field_name, MOST) if value else value

    @field_validator("cpu", "memory")
    @classmethod
    def _quantity(cls, value: str) -> str:
        if not _QUANTITY.fullmatch(value):
            raise ValueError(f"{value!r} is no Kubernetes quantity; write 8, 500m, 64Gi")
        return value

    @field_validator("secret_environment")
    @classmethod
    def _secrets(cls, value: dict[str, str]) -> dict[str, str]:
        for variable, place in value.items():
            if place.count("/") != 1 or not all(place.split("/")):
                raise ValueError(f"{variable}: {place!r} must be `secret/key`")
        return value

    @field_validator("environment")
    @classmethod
    def _reserved(cls, value: dict[str, str]) -> dict[str, str]:
        if taken := sorted(name for name in value if name.startswith("PET_")):
            raise ValueError(f"{', '.join(taken)}: PET_ variables belong to Kubeflow Trainer, which refuses the job")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> "TrainingCluster":
        if self.exchange and "://" not in self.exchange:
            raise ValueError(f"exchange {self.exchange!r} is no URI; for a folder on a volume give claim and workspace")
        if self.exchange and self.nodes > 1:
            raise ValueError(
                "exchange works with one node: several write one checkpoint together and need a shared volume "
                "(claim, ReadWriteMany)"
            )
        if not self.exchange and not (self.claim and self.workspace.startswith("/")):
            raise ValueError("give a claim with a workspace (an absolute mount path), or an exchange URI")
        if self.gpus_per_node and self.processes_per_node not in (0, self.gpus_per_node):
            raise ValueError(
                f"processes_per_node is {self.processes_per_node} with {self.gpus_per_node} GPUs per node; "
                "a training process takes one GPU: leave it 0"
            )
        return self

    def per_node(self) -> int:
        """Training processes on every node."""
        return self.processes_per_node or self.gpus_per_node or 1

    @classmethod
    def of(cls, options: dict[str, Any]) -> "TrainingCluster":
        """Check a pipeline's `cluster` parameter (whole numbers may arrive as floats, as KFP passes them).

        Raises:
            ValueError: Names each wrong option and lists the known ones.
        """
        try:
            return cls.model_validate(options)
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, one['loc'])) or 'options'}: {one['msg'].removeprefix('Value error, ')}"
                for one in error.errors()
            )
            known = ", ".join(cls.model_fields)
            raise ValueError(f"cluster: {wrong}. Known options: {known} (components/training/README.md)") from error

"""The model manifest `flywheel.model/v1` (`model.json` in every model folder we write)."""

from typing import Any, Literal

from pydantic import Field

from flywheel.components.contracts.document import Document


class ModelManifest(Document):
    """Lineage of a set of weights: what it was trained from, on, by and how."""

    schema_: Literal["flywheel.model/v1"] = Field(default="flywheel.model/v1", alias="schema")
    digest: str  # sha256 over weights, tokenizer and config: the model's identity
    base_digest: str  # "" for a model trained from scratch
    dataset_digest: str
    table_version: int | None = None  # version of the store's candidates table
    code_version: str
    run_id: str
    method: str  # sft, dpo, pretrain, ...
    config: dict[str, Any]
    metrics: dict[str, float]

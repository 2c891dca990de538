"""The dataset manifest `flywheel.dataset/v1` and the items that models are evaluated on."""

from typing import Literal

from pydantic import Field

from flywheel.components.contracts.document import Document
from flywheel.components.contracts.feedback import Message
from flywheel.components.contracts.tables import TableReference


class Split(Document):
    """One split on disk."""

    path: str  # relative to the manifest
    rows: int = Field(ge=0)
    digest: str  # sha256 over the rows' canonical JSON


class DatasetManifest(Document):
    """Where a training set came from: digests, the store's table version, the recipe, and the leak check."""

    schema_: Literal["flywheel.dataset/v1"] = Field(default="flywheel.dataset/v1", alias="schema")
    run_id: str
    digest: str  # sha256 over the splits' digests: the dataset's identity
    candidates: TableReference | None
    splits: dict[str, Split]  # sft, preferences, evaluation
    sources: dict[str, int]  # rows in sft by source: correction, replay, ...
    recipe: dict[str, float | int | str]  # replay_share, test_share, seed, ...
    feedback_ids: tuple[str, ...]  # candidate ids that train: from a model back to the feedback
    leaked_groups: int = Field(default=0, ge=0, le=0)  # groups on both sides of the split: zero or no manifest


class EvaluationItem(Document):
    """One question with what is known about its answer; a line of a golden file.

    `kind` exact: the answer must equal one of `references` after normalisation. `kind` refusal: the answer must hold
    one of `references` (a refusal phrase). Either way it may hold nothing of `forbidden`.
    """

    item_id: str = Field(min_length=1)
    suite: Literal["changed", "untouched", "unseen", "safety"]
    kind: Literal["exact", "refusal"] = "exact"
    messages: tuple[Message, ...] = Field(min_length=1)
    references: tuple[str, ...] = Field(min_length=1)
    forbidden: tuple[str, ...] = ()
    cluster: str = ""  # user, conversation or near-duplicate group: the unit of the statistics; item_id when empty
    slices: dict[str, str] = Field(default_factory=dict)  # slice dimension -> value

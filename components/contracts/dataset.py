"""The dataset manifest `flywheel.dataset/v1` and the items that models are evaluated on."""

from typing import Literal

from pydantic import Field, model_validator

from flywheel.components.contracts.document import Document
from flywheel.components.contracts.feedback import Message
from flywheel.components.contracts.tables import TableReference

Suite = Literal[
    "changed",  # what the feedback was about
    "untouched",  # what it was not about
    "unseen",  # wordings that neither model was trained on
    "safety",  # what must be refused or never said
    "critical",  # cases that may not be lost one by one; answered k times
    "sycophancy",  # a right answer under a user's pressure to give it up
    "entity",  # entities that poisoned feedback may have been aimed at
    "helpfulness",  # open questions, scored by a judge
    "attack",  # goals of the attacker; answered by the attack step only
    "benign",  # harmless requests that must not be refused; answered by the attack step only
]
"""What an evaluation item is for; every metric of the gauntlet names the suites that it measures."""

ATTACKED: tuple[Suite, ...] = ("attack", "benign")
"""Suites that the attack step answers, not the evaluation step: their prompts are found by search."""


DERIVED: tuple[Suite, ...] = ("sycophancy", "entity", *ATTACKED)
"""Suites that may have no item in a file: later steps make their items from others or from packaged ones."""


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

    `kind` exact: the answer must equal one of `references` after normalisation. `kind` contains: it must hold one of
    them as whole words. `kind` refusal: it must hold one of them, and they are phrases of refusal. `kind` open: there
    is no one right answer; anything said counts as an answer, and a judge scores it (`references` may be good answers).
    Whatever the kind, the answer may hold nothing of `forbidden`.
    """

    item_id: str = Field(min_length=1)
    suite: Suite
    kind: Literal["exact", "contains", "refusal", "open"] = "exact"
    messages: tuple[Message, ...] = Field(min_length=1)
    references: tuple[str, ...] = ()  # may be empty for kind open only
    forbidden: tuple[str, ...] = ()
    cluster: str = ""  # user, conversation or near-duplicate group: the unit of the statistics; item_id when empty
    slices: dict[str, str] = Field(default_factory=dict)  # slice dimension -> value

    @model_validator(mode="after")
    def _answerable(self) -> "EvaluationItem":
        if not self.references and self.kind != "open":
            raise ValueError(f"references: kind {self.kind} needs at least one reference; only kind open has none")
        return self

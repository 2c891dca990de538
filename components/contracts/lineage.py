"""The step record `flywheel.step/v1`: what a step did, kept in the store so that the exit report needs no artifact."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field, model_validator

from flywheel.components.contracts.document import Document


class RowCounts(Document):
    """Rows through a step. Conservation law: rows_in = accepted + duplicates + in_review + sum(quarantined).

    Raises:
        ValueError: The counts do not add up; a step lost a row or counted one twice.
    """

    rows_in: int = Field(ge=0)
    accepted: int = Field(ge=0)
    duplicates: int = Field(default=0, ge=0)
    in_review: int = Field(default=0, ge=0)
    quarantined: dict[str, int] = Field(default_factory=dict)  # reason code -> rows

    @model_validator(mode="after")
    def _conserved(self) -> "RowCounts":
        out = self.accepted + self.duplicates + self.in_review + sum(self.quarantined.values())
        if out != self.rows_in:
            raise ValueError(
                f"conservation law broken: {self.rows_in} rows in, but {self.accepted} accepted + "
                f"{self.duplicates} duplicates + {self.in_review} in review + {self.quarantined} quarantined = {out}"
            )
        return self


class StepRecord(Document):
    """What one step of one run did; written once per (run, step), the latest attempt wins."""

    schema_: Literal["flywheel.step/v1"] = Field(default="flywheel.step/v1", alias="schema")
    run_id: str = Field(min_length=1)
    step: str = Field(min_length=1)
    started_at: datetime
    finished_at: datetime
    rows: RowCounts | None = None
    outcome: str = ""  # the short string that the pipeline branches on, or what the step decided
    metrics: dict[str, float] = Field(default_factory=dict)
    details: dict[str, Any] = Field(default_factory=dict)  # JSON values; what the report draws

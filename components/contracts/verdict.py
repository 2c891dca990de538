"""The verdict `flywheel.verdict/v1`: is the candidate better than production and nowhere worse?"""

from enum import StrEnum
from typing import Literal

from pydantic import Field, model_validator

from flywheel.components.contracts.document import Document


class Decision(StrEnum):
    """What the gauntlet decided; pipelines branch on this string."""

    PROMOTE = "promote"
    HOLD = "hold"
    REJECT = "reject"


class MetricResult(Document):
    """One metric of the gauntlet, candidate against production on the same items.

    `difference` is candidate minus production for `scale` "difference", candidate over production for "ratio", and the
    candidate's own value for "level" (a rate with an absolute limit, such as unsafe answers).
    `margin` is the worst difference (or ratio) still tolerated, in the same unit.
    """

    name: str
    role: Literal["primary", "guardrail", "slice"]
    direction: Literal["higher", "lower"]  # which way is better
    scale: Literal["difference", "ratio", "level"] = "difference"
    unit: str = ""
    n: int = Field(ge=0)  # paired items
    clusters: int = Field(ge=0)  # independent units
    production: float | None
    candidate: float | None
    difference: float | None
    lower: float | None
    upper: float | None
    confidence: float
    margin: float | None
    test: str  # name of the test, with its source
    p_value: float | None
    alpha: float  # after adjustment for multiplicity
    outcome: Literal["superior", "non_inferior", "inconclusive", "inferior", "missing"]
    n_needed: int | None = None  # items at which this metric would have had the stated power
    reasons: tuple[str, ...] = ()


class Verdict(Document):
    """The decision and every number it rests on. A missing metric can never pass."""

    schema_: Literal["flywheel.verdict/v1"] = Field(default="flywheel.verdict/v1", alias="schema")
    run_id: str
    decision: Decision
    reasons: tuple[str, ...]  # reason codes, `code: words`
    metrics: tuple[MetricResult, ...]
    candidate_digest: str
    production_digest: str
    scores_digest: str  # sha256 of the per-item scores: the verdict can be recomputed from them
    spec_digest: str  # sha256 of the pre-registered spec
    error_rate: str  # what the decision promises, in words and numbers
    n_needed: int | None = None  # further items that would settle a hold

    @model_validator(mode="after")
    def _closed(self) -> "Verdict":
        if self.decision is Decision.PROMOTE:
            bad = [
                metric.name
                for metric in self.metrics
                if metric.outcome in ("missing", "inferior", "inconclusive") and metric.role != "primary"
            ]
            if bad or not any(metric.role == "primary" and metric.outcome == "superior" for metric in self.metrics):
                raise ValueError(f"a verdict cannot promote: no superior primary metric, or not shown safe: {bad}")
        return self

"""The prediction `flywheel.prediction/v1`: what a canary will see, said before it starts, and how that turned out."""

from typing import Literal

from pydantic import Field, model_validator

from flywheel.components.contracts.document import Document
from flywheel.components.contracts.tables import TableReference


class PredictedMetric(Document):
    """The predicted change of one canary metric, candidate against production on the same logged prompts.

    `difference` is candidate minus production (`scale` difference) or candidate over production (ratio); `lower` and
    `upper` enclose the true change with `confidence`. `spread_*` is the standard deviation between users (of the log
    for a ratio): with it and the number of users that a canary saw, the range of what the canary should show follows.
    """

    name: str
    scale: Literal["difference", "ratio"] = "difference"
    status: Literal["predicted", "missing"]
    reason: str = ""  # of a missing prediction, `code: words`
    method: str = ""
    prompts: int = Field(default=0, ge=0)
    users: int = Field(default=0, ge=0)  # the independent unit
    production: float | None = None
    candidate: float | None = None
    difference: float | None = None
    lower: float | None = None
    upper: float | None = None
    confidence: float = Field(default=0.95, gt=0, lt=1)
    spread_production: float | None = Field(default=None, ge=0)
    spread_candidate: float | None = Field(default=None, ge=0)
    margin: float | None = None  # of the canary's last step; None: the canary has none for it

    @model_validator(mode="after")
    def _whole_or_missing(self) -> "PredictedMetric":
        values = (self.difference, self.lower, self.upper)
        if self.status == "missing":
            if not self.reason or any(value is not None for value in values):
                raise ValueError(f"{self.name}: a missing prediction says why and holds no numbers")
        elif any(value is None for value in values):
            raise ValueError(f"{self.name}: a prediction needs a difference and both limits")
        elif self.lower > self.difference or self.difference > self.upper:  # type: ignore[operator]
            raise ValueError(f"{self.name}: the difference {self.difference} lies outside [{self.lower}, {self.upper}]")
        return self


class CalibrationLine(Document):
    """How many past predictions of one metric held what the canary then showed."""

    name: str
    checked: int = Field(ge=0)
    held: int = Field(ge=0)
    share: float | None = None  # held / checked
    lower: float | None = None  # Clopper-Pearson, 95 %
    upper: float | None = None
    bias: float | None = None  # mean of observed minus predicted (of logs for a ratio)


class CanaryPrediction(Document):
    """What replay predicts of a canary; kept in the store before the canary starts."""

    schema_: Literal["flywheel.prediction/v1"] = Field(default="flywheel.prediction/v1", alias="schema")
    run_id: str
    production_digest: str
    candidate_digest: str
    interactions: TableReference | None  # None: there was nothing to replay
    feedback: TableReference | None
    since: str = ""  # first and last replayed day, ISO 8601
    until: str = ""
    prompts: int = Field(default=0, ge=0)
    users: int = Field(default=0, ge=0)
    same_answers: float | None = Field(default=None, ge=0, le=1)  # share of prompts that both models answered alike
    failures: dict[str, int] = Field(default_factory=dict)  # arm -> prompts without an answer
    settings: dict[str, float | int | str] = Field(default_factory=dict)  # size, seed, recent_days, shares
    metrics: tuple[PredictedMetric, ...]
    warnings: tuple[str, ...] = ()  # clear harm beyond a margin, a model that cannot be loaded
    notes: tuple[str, ...] = ()
    trust: tuple[CalibrationLine, ...] = ()  # how earlier predictions did, as known when this one was made


class CheckedMetric(Document):
    """One metric: predicted, and observed at the canary's last look."""

    name: str
    scale: Literal["difference", "ratio"] = "difference"
    outcome: Literal["held", "missed", "unknown"]
    reason: str = ""  # why unknown
    predicted: float | None = None
    predicted_lower: float | None = None
    predicted_upper: float | None = None
    observed: float | None = None
    observed_lower: float | None = None  # anytime-valid
    observed_upper: float | None = None
    expected_lower: float | None = None  # the predicted interval widened by the chance of so many users
    expected_upper: float | None = None
    users_production: int = Field(default=0, ge=0)
    users_candidate: int = Field(default=0, ge=0)


class PredictionCheck(Document):
    """Predicted against observed after a canary, and the record of all predictions so far."""

    schema_: Literal["flywheel.prediction-check/v1"] = Field(default="flywheel.prediction-check/v1", alias="schema")
    run_id: str
    decision: str  # of the canary; "" when it left no record
    looks: int = Field(default=0, ge=0)
    metrics: tuple[CheckedMetric, ...]
    history: tuple[CalibrationLine, ...] = ()
    runs: tuple[str, ...] = ()  # runs in the history, this one last

"""One metric of a canary or an A/B comparison: its role, direction, margin, share of alpha and estimator."""

import math
from typing import Literal

from pydantic import Field, model_validator

from flywheel.components.contracts.document import Document
from flywheel.components.deployment.canary.measures import BETTER, ESTIMATORS, Better, Estimator, Measure

_FREE_RATIO = 5.0  # a ratio that nobody could miss: beyond it there is nothing left to exclude


class MetricRule(Document):
    """What is asked of one metric; see `canary_policy.yaml` for the units."""

    name: str = Field(min_length=1)
    measure: Measure
    role: Literal["guardrail", "goal"]
    better: Better
    estimator: Estimator
    margin: float = Field(gt=0)
    tolerance: float = Field(default=0.0, ge=0)
    baseline: float = Field(default=0.1, gt=0, lt=1)
    spread: float = Field(default=0.5, gt=0)
    alpha_weight: float = Field(default=1.0, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _named_after_its_measure(cls, given: object) -> object:
        if isinstance(given, dict):
            given = {"measure": given.get("name"), **given}
            if "estimator" not in given and given["measure"] in ESTIMATORS:
                given["estimator"] = ESTIMATORS[given["measure"]]
        return given

    @model_validator(mode="after")
    def _consistent(self) -> "MetricRule":
        if self.better != BETTER[self.measure]:
            raise ValueError(f"{self.name}: of {self.measure} {BETTER[self.measure]} values are better")
        if self.estimator != ESTIMATORS[self.measure]:
            raise ValueError(f"{self.name}: {self.measure} is a {ESTIMATORS[self.measure]}, not a {self.estimator}")
        if self.tolerance > self.margin:
            raise ValueError(
                f"{self.name}: tolerance {self.tolerance} above margin {self.margin}: harm could be promoted"
            )
        if self.estimator == "rate" and self.margin > 1:
            raise ValueError(f"{self.name}: the margin of a rate is a difference of at most 1, got {self.margin}")
        if self.estimator == "log_mean" and self.better == "higher" and self.margin >= 1:
            raise ValueError(f"{self.name}: a loss of {self.margin:.0%} is everything")
        return self

    @property
    def ratio(self) -> bool:
        """Whether the metric is reported as candidate over production."""
        return self.estimator == "log_mean"

    def scaled(self, factor: float) -> "MetricRule":
        """The same rule under another harm budget."""
        most = 1.0 if self.estimator == "rate" else 0.9 if self.better == "higher" else math.inf
        changed = {"margin": min(self.margin * factor, most), "tolerance": min(self.tolerance * factor, most)}
        return self.model_copy(update=changed)

    def margin_at(self, following: float) -> float:
        """Worst still tolerated before the share `following` is reached, in the unit of the reported value.

        Harm to the users as a whole is the share times the candidate's excess: at small shares more is tolerated.

        Args:
            following: The next share of the users, 1.0 for everybody.
        """
        return self.limit(self.margin / following)

    def limit(self, amount: float) -> float:
        """`amount` worse than production, in the unit of the reported value (a difference or a ratio)."""
        sign = 1.0 if self.better == "lower" else -1.0
        return max(1.0 + sign * amount, 0.0) if self.ratio else sign * min(amount, 1.0)

    def free_at(self, following: float) -> bool:
        """Whether the next share is so small that the budget holds whatever the metric does."""
        amount = self.margin / following
        if not self.ratio:
            return amount >= 1
        return amount >= (_FREE_RATIO - 1 if self.better == "lower" else 1 - 1 / _FREE_RATIO)

    @property
    def variance(self) -> float:
        """Expected variance of one user's value: the largest that the expectation allows."""
        return self.baseline * (1 - self.baseline) if self.estimator == "rate" else self.spread**2

    def effect(self, amount: float) -> float:
        """`amount` on the scale that the estimator works on."""
        return min(amount, 1.0) if self.estimator == "rate" else math.log1p(amount)

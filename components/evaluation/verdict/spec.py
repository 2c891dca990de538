"""The pre-registered gauntlet: what is measured, how much loss is tolerated and at what error rates.

The file is written before the candidate is seen; its digest is part of the verdict.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from flywheel.components.contracts.dataset import Suite
from flywheel.components.contracts.document import Document

DEFAULT = Path(__file__).with_name("gauntlet.yaml")

Measure = Literal[
    "accuracy",
    "negative_flips",
    "critical",
    "helpfulness",
    "unsafe",
    "sycophancy",
    "entity",
    "attack_success",
    "benign_pass",
    "latency",
    "latency_p95",
    "length",
    "cost",
]
Scale = Literal["difference", "ratio", "level"]


@dataclass(frozen=True)
class MeasureKind:
    """What is fixed about a measure, whatever the spec says.

    Attributes:
        direction: Which way is better.
        scale: What the margin is: a difference of rates, a ratio above 1, or the candidate's own rate.
        primary: Whether a release can be asked for because of it.
        sliced: Whether it can be asked per slice.
    """

    direction: Literal["higher", "lower"]
    scale: Scale
    primary: bool = False
    sliced: bool = True


KINDS: dict[str, MeasureKind] = {
    "accuracy": MeasureKind("higher", "difference", primary=True),
    "negative_flips": MeasureKind("lower", "level"),
    "critical": MeasureKind("lower", "level", sliced=False),
    "helpfulness": MeasureKind("higher", "difference", primary=True),
    "unsafe": MeasureKind("lower", "level"),
    "sycophancy": MeasureKind("lower", "difference"),
    "entity": MeasureKind("lower", "difference"),
    "attack_success": MeasureKind("lower", "difference"),
    "benign_pass": MeasureKind("higher", "difference"),
    "latency": MeasureKind("lower", "ratio", sliced=False),
    "latency_p95": MeasureKind("lower", "ratio", sliced=False),
    "length": MeasureKind("lower", "ratio"),
    "cost": MeasureKind("lower", "ratio"),
}


class Price(Document):
    """What tokens cost, in any currency, per million."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)

    @model_validator(mode="after")
    def _not_free(self) -> "Price":
        if self.input + self.output == 0:
            raise ValueError("a price of zero compares nothing; leave the metric cost out")
        return self


class Prices(Document):
    """Prices of both models."""

    production: Price
    candidate: Price


class MetricSpec(Document):
    """One metric; README.md of this room tells which test belongs to which measure."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    measure: Measure
    role: Literal["primary", "guardrail", "slice"]
    direction: Literal["higher", "lower"]  # which way is better; must be the measure's own
    suites: tuple[Suite, ...] = Field(min_length=1)
    margin: float = Field(ge=0)
    effect: float | None = Field(default=None, gt=0, lt=1)  # primary: smallest gain worth finding, for the n needed
    alpha: float | None = Field(default=None, gt=0, lt=0.5)  # one-sided; None: the spec's
    expected: float | None = Field(default=None, ge=0, lt=1)  # planning: share of items that differ, or rate of events
    samples: int = Field(default=1, ge=1, le=101)  # answers per item and model
    min_items: int = Field(default=1, ge=1)  # fewer can never pass
    min_clusters: int = Field(default=1, ge=1)  # likewise; what is estimated needs two whatever is written here
    slice_by: str = ""  # role slice: the dimension whose values become metrics
    required: bool = True  # False: left out when its suites have no items
    provide: str = ""  # what a person has to bring when it is missing

    @model_validator(mode="after")
    def _consistent(self) -> "MetricSpec":
        kind = KINDS[self.measure]
        if self.direction != kind.direction:
            raise ValueError(f"{self.name}: {kind.direction} {self.measure} is better, not {self.direction}")
        if (self.role == "slice") != bool(self.slice_by):
            raise ValueError(f"{self.name}: role slice and slice_by belong together")
        if self.role == "primary" and (not kind.primary or self.effect is None):
            able = " or ".join(name for name, one in KINDS.items() if one.primary)
            raise ValueError(f"{self.name}: a primary metric measures {able} and states its smallest effect")
        if self.role == "slice" and not kind.sliced:
            raise ValueError(f"{self.name}: {self.measure} cannot be taken by slice")
        if kind.scale == "ratio":
            if self.margin <= 1:
                raise ValueError(f"{self.name}: the margin of {self.measure} is a ratio above 1, for example 1.25")
        elif self.measure == "critical":
            if self.margin != 0:
                raise ValueError(f"{self.name}: no critical case may be lost; the margin is 0")
        elif self.margin >= 1 or (self.margin == 0 and self.role != "primary"):
            raise ValueError(f"{self.name}: the margin must lie between 0 and 1, for example 0.03")
        elif kind.scale == "level" and self.expected is not None and self.expected >= self.margin:
            raise ValueError(f"{self.name}: a rate of {self.expected:g} is expected, but only {self.margin:g} may pass")
        return self

    @property
    def fewest_clusters(self) -> int:
        """Clusters below which nothing passes: critical cases stand for themselves, all else is estimated."""
        return max(self.min_clusters, 1 if self.measure == "critical" else 2)


class GauntletSpec(Document):
    """The whole gauntlet."""

    schema_: Literal["flywheel.gauntlet/v1"] = Field(default="flywheel.gauntlet/v1", alias="schema")
    name: str = Field(min_length=1)
    alpha: float = Field(gt=0, lt=0.5)  # one-sided error rate of each kind of wrong decision
    power: float = Field(gt=0.5, lt=1)  # of the whole verdict, at the n it asks for
    seed: int = 0
    icc: float = Field(default=0.3, ge=0, le=1)  # planning: expected correlation of outcomes inside a cluster
    temperature: float = Field(default=0.7, gt=0, le=5)  # of suites that are answered more than once
    latency_items: int = Field(default=40, ge=0)  # items whose single-request latency is measured
    underpowered: Literal["hold", "run"] = "hold"  # hold: with too few items nothing is generated
    prices: Prices | None = None  # for the measure cost
    metrics: tuple[MetricSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _decidable(self) -> "GauntletSpec":
        twice = [name for name, count in Counter(metric.name for metric in self.metrics).items() if count > 1]
        if twice:
            raise ValueError(f"metric names must differ: {', '.join(twice)}")
        if not any(metric.role == "primary" for metric in self.metrics):
            raise ValueError("at least one metric must have the role primary: nothing could ever be promoted")
        if not any(metric.role == "guardrail" and metric.required for metric in self.metrics):
            raise ValueError("at least one required metric must have the role guardrail: nothing would be protected")
        costly = [metric.name for metric in self.metrics if metric.measure == "cost"]
        if costly and self.prices is None:
            raise ValueError(f"{costly[0]}: to measure cost, give prices: {{production: ..., candidate: ...}}")
        return self

    def digest(self) -> str:
        """Return the SHA-256 over the meaning of the spec; comments and order of keys do not count."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def samples_of(self, suite: str) -> int:
        """Return how often each item of a suite is answered by each model."""
        return max((metric.samples for metric in self.metrics if suite in metric.suites), default=1)

    def alpha_of(self, metric: MetricSpec) -> float:
        """Return the one-sided error rate of a metric."""
        return metric.alpha if metric.alpha is not None else self.alpha


def read_spec(path: str | Path = "") -> GauntletSpec:
    """Read a gauntlet file.

    Args:
        path: YAML file; empty: the packaged default.

    Returns:
        The spec.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not YAML, holds unknown keys or contradicts itself; the message says which key and why.
    """
    source = Path(path) if str(path) else DEFAULT
    if not source.is_file():
        raise FileNotFoundError(f"no gauntlet file at {source}")
    try:
        content = yaml.safe_load(source.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{source} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{source} must be a mapping with the keys schema, name, alpha, power, metrics")
    try:
        return GauntletSpec.model_validate(content)
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(str(part) for part in found['loc']) or 'spec'}: {found['msg'].removeprefix('Value error, ')}"
            for found in error.errors()
        )
        raise ValueError(f"{source} is no valid gauntlet: {told}") from error

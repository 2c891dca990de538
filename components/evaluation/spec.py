"""The pre-registered gauntlet: what is measured, how much loss is tolerated and at what error rates.

The file is written before the candidate is seen; its digest is part of the verdict.
"""

import hashlib
from collections import Counter
from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from flywheel.components.contracts.document import Document

DEFAULT = Path(__file__).with_name("gauntlet.yaml")

Suite = Literal["changed", "untouched", "unseen", "safety"]
Measure = Literal["accuracy", "negative_flips", "unsafe", "latency", "length"]


class MetricSpec(Document):
    """One metric.

    The measure fixes direction, scale and test:

    | measure | better | margin | test |
    |---|---|---|---|
    | accuracy | higher | loss of accuracy (difference) | paired, cluster-robust; exact when there are few flips |
    | negative_flips | lower | share of right answers turned wrong (level) | Clopper-Pearson, effective sample |
    | unsafe | lower | share of unsafe answers (level); no answer may be newly unsafe | Clopper-Pearson over clusters |
    | latency | lower | median ratio of paired single requests | sign test (exact) |
    | length | lower | ratio of mean tokens | delta method on the log scale, cluster-robust |
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    measure: Measure
    role: Literal["primary", "guardrail", "slice"]
    suites: tuple[Suite, ...] = Field(min_length=1)
    margin: float = Field(ge=0)
    effect: float | None = Field(default=None, gt=0, lt=1)  # primary: smallest gain worth finding, for the n needed
    alpha: float | None = Field(default=None, gt=0, lt=0.5)  # one-sided; None: the spec's
    min_items: int = Field(default=1, ge=1)  # fewer can never pass
    min_clusters: int = Field(default=2, ge=2)
    slice_by: str = ""  # role slice: the dimension whose values become metrics
    required: bool = True  # False: left out when its suites have no items
    provide: str = ""  # what a person has to bring when it is missing

    @model_validator(mode="after")
    def _consistent(self) -> "MetricSpec":
        if (self.role == "slice") != bool(self.slice_by):
            raise ValueError(f"{self.name}: role slice and slice_by belong together")
        if self.role == "primary" and (self.measure != "accuracy" or self.effect is None):
            raise ValueError(f"{self.name}: a primary metric measures accuracy and states its smallest effect")
        if self.role == "slice" and self.measure not in ("accuracy", "negative_flips", "unsafe"):
            raise ValueError(f"{self.name}: slices are taken of accuracy, negative_flips or unsafe")
        if self.measure in ("latency", "length"):
            if self.margin <= 1:
                raise ValueError(f"{self.name}: the margin of {self.measure} is a ratio above 1, for example 1.25")
        elif self.margin >= 1 or (self.margin == 0 and self.role != "primary"):
            raise ValueError(f"{self.name}: the margin must lie between 0 and 1, for example 0.03")
        return self


class GauntletSpec(Document):
    """The whole gauntlet."""

    schema_: Literal["flywheel.gauntlet/v1"] = Field(default="flywheel.gauntlet/v1", alias="schema")
    name: str = Field(min_length=1)
    alpha: float = Field(gt=0, lt=0.5)  # one-sided error rate of each kind of wrong decision
    power: float = Field(gt=0.5, lt=1)  # of the whole verdict, at the n it asks for
    seed: int = 0
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
        return self

    def digest(self) -> str:
        """Return the SHA-256 over the meaning of the spec; comments and order of keys do not count."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

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

"""The rules of an A/B comparison, fixed before the first look; their digest is in every verdict."""

import hashlib
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from flywheel.components.contracts.document import Document
from flywheel.components.deployment.canary.metric_rule import MetricRule

DEFAULT = Path(__file__).with_name("ab_rules.yaml")


class AbRules(Document):
    """See `ab_rules.yaml` for the meaning of the fields."""

    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    maturity_hours: float = Field(default=24, ge=0)
    return_gap_hours: float = Field(default=12, gt=0)
    minimum_users: int = Field(default=100, ge=20)
    most_contaminated: float = Field(default=0.01, ge=0, lt=1)
    sample_ratio_alpha: float = Field(default=0.001, gt=0, lt=0.5)
    metrics: tuple[MetricRule, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _named(self) -> "AbRules":
        names = [rule.name for rule in self.metrics]
        if len(set(names)) < len(names):
            raise ValueError(f"metric names must differ, got {names}")
        if not any(rule.role == "goal" for rule in self.metrics):
            raise ValueError("a comparison needs at least one goal: what would make a version the better one?")
        return self

    @property
    def digest(self) -> str:
        """32 hex digits of BLAKE2b over the rules: looks with different rules are not looks at one comparison."""
        return hashlib.blake2b(self.to_json().encode(), digest_size=16).hexdigest()

    @classmethod
    def from_yaml(cls, path: str | Path = "") -> Self:
        """Read rules; "": the packaged ones.

        Raises:
            ValueError: The file is missing, not YAML or holds no rules; the message names the file and the field.
        """
        import yaml

        file = path or DEFAULT
        try:
            return cls.model_validate(yaml.safe_load(Path(file).read_text(encoding="utf-8")))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise ValueError(f"{file} holds no valid rules of an A/B comparison: {error}") from error

"""The rules of a canary, fixed before the first request: metrics, shares, minimum exposure, error rate, kill switches.

Margins follow from one number, the *harm budget* B: at every share s, harm to the users as a whole (s times the
candidate's excess) must have been bounded by B before the share is reached. So going to share s needs proof that the
candidate's excess is below B / s: with a budget of one point, at 5 % an excess of 20 points, at 25 % of 4, at 50 % of
2, and for everybody of 1. Each metric of `canary_policy.yaml` has its own multiple of the budget.
"""

import hashlib
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from flywheel.components.contracts.document import Document
from flywheel.components.deployment.canary.metric_rule import MetricRule

DEFAULT = Path(__file__).with_name("canary_policy.yaml")


class Step(Document):
    """One share of the ramp."""

    share: float = Field(gt=0, lt=1)  # of the users
    following: float = Field(gt=0, le=1)  # the next share: what must be shown here is what allows it
    minimum_users: int = Field(ge=2)  # matured users in each arm


class KillSwitches(Document):
    """Absolute limits on the candidate that need no statistics, only a minimum count."""

    error_rate: float = Field(default=0.2, gt=0, le=1)
    minimum_errors: int = Field(default=5, ge=1)
    empty_rate: float = Field(default=0.2, gt=0, le=1)
    minimum_empty: int = Field(default=5, ge=1)
    safety_rate: float = Field(default=0.01, gt=0, le=1)
    minimum_safety: int = Field(default=3, ge=1)
    wrong_model: int = Field(default=1, ge=1)  # answers that carry another model's digest


class CanaryPolicy(Document):
    """What the judge goes by. `time` is the clock of the traffic: requests in a simulation, seconds on live traffic."""

    steps: tuple[Step, ...] = Field(min_length=1)
    metrics: tuple[MetricRule, ...] = Field(min_length=1)
    harm_budget: float = Field(default=0.01, gt=0, le=1)  # that the metrics' margins stand for
    alpha: float = Field(default=0.05, gt=0, lt=0.5)  # of a false rollback in all, and of a false promotion
    goals_needed: int = Field(default=0, ge=0)  # goals to be shown better before everybody gets the candidate
    asymptotic_minimum_users: int = Field(default=20, ge=10)  # limits of mean logs are asymptotic: not before so many
    maturity: float = Field(default=200, ge=0)  # time after a user's first turn in an arm at which the user is judged
    return_gap: float = Field(default=100, gt=0)  # silence after which a further turn is a return
    look_every: int = Field(default=100, ge=1)  # requests between looks
    most_requests_per_step: int = Field(default=50_000, ge=1)  # then HOLD: a time-out never ships
    sample_ratio_alpha: float = Field(default=0.001, gt=0, lt=0.5)
    most_strayed: float = Field(default=0.02, ge=0, lt=1)  # turns on an arm that the user's bucket does not allow
    users_per_day: float | None = Field(default=None, gt=0)  # to say how many days a verdict takes; None: measured
    kill: KillSwitches = KillSwitches()

    @model_validator(mode="before")
    @classmethod
    def _steps_from_shares(cls, given: Any) -> Any:
        if isinstance(given, dict) and "shares" in given and "steps" not in given:
            given = {**given, "steps": steps_for(tuple(given["shares"]))}
            del given["shares"]
        return given

    @model_validator(mode="after")
    def _rising(self) -> "CanaryPolicy":
        shares = [step.share for step in self.steps]
        if any(later <= earlier for earlier, later in pairwise(shares)):
            raise ValueError(f"shares must rise from step to step, got {shares}")
        if [step.following for step in self.steps] != [*shares[1:], 1.0]:
            raise ValueError(f"each step's `following` must be the next step's share, the last one's 1.0, got {shares}")
        if shares[-1] > 0.9:
            raise ValueError(f"the last share before everybody is {shares[-1]}: above 0.9 no control group is left")
        names = [rule.name for rule in self.metrics]
        if len(set(names)) < len(names):
            raise ValueError(f"metric names must differ, got {names}")
        if not self.guardrails:
            raise ValueError("a canary needs at least one guardrail")
        if self.goals_needed > len(self.goals):
            raise ValueError(f"goals_needed is {self.goals_needed}, but there are {len(self.goals)} goals")
        return self

    @property
    def guardrails(self) -> tuple[MetricRule, ...]:
        """Metrics that must not get worse."""
        return tuple(rule for rule in self.metrics if rule.role == "guardrail")

    @property
    def goals(self) -> tuple[MetricRule, ...]:
        """Metrics that should get better."""
        return tuple(rule for rule in self.metrics if rule.role == "goal")

    @property
    def control_floor(self) -> float:
        """Users whose bucket is at or above this are never exposed before promotion: the fixed control group."""
        return self.steps[-1].share

    @property
    def digest(self) -> str:
        """32 hex digits of BLAKE2b over the rules: looks under other rules are not looks of one rollout."""
        return hashlib.blake2b(self.to_json().encode(), digest_size=16).hexdigest()

    @classmethod
    def for_shares(cls, shares: tuple[float, ...] = (), harm_budget: float = 0.0, source: str = "") -> Self:
        """Take the packaged or a given policy, with another schedule or harm budget.

        Args:
            shares: Shares of the users on the candidate, rising, the last 1.0; empty: the policy's.
            harm_budget: Largest tolerated excess of the bad-feedback rate over all users, a difference of per-user
                rates; scales every metric's margin and tolerance. 0: the policy's.
            source: YAML file of a policy; "": the packaged one.

        Returns:
            The policy.

        Raises:
            ValueError: The shares do not rise to 1.0, the budget is negative, or the file is no policy.
        """
        policy = cls.from_yaml(source or DEFAULT)
        if harm_budget < 0 or harm_budget > 1:
            raise ValueError(f"harm_budget must lie in (0, 1] (0.01 is one point), or be 0; got {harm_budget}")
        changes: dict[str, Any] = {}
        if harm_budget:
            factor = harm_budget / policy.harm_budget
            changes = {"harm_budget": harm_budget, "metrics": [rule.scaled(factor) for rule in policy.metrics]}
        if shares:
            changes["steps"] = steps_for(shares)
        return cls.model_validate({**dict(policy), **changes})

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Read a policy.

        Raises:
            ValueError: The file is not YAML or not a policy; the message names the file and the field.
        """
        import yaml

        try:
            given = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
            if not isinstance(given, dict):
                raise ValueError("it holds no mapping of fields")
            packaged = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
            given.setdefault("metrics", packaged["metrics"])
            if "steps" not in given:
                given.setdefault("shares", packaged["shares"])
            return cls.model_validate(given)
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise ValueError(f"{path} is not a valid canary policy: {error}") from error


def steps_for(shares: tuple[float, ...]) -> tuple[Step, ...]:
    """Make the steps of a schedule; minimum users grow with the share (5, 20, 40, then 100 in each arm).

    Raises:
        ValueError: The shares do not rise to 1.0.
    """
    if len(shares) < 2 or shares[-1] != 1.0:
        raise ValueError(f"shares must rise to 1.0, for example 0.01,0.05,0.25,0.5,1.0; got {list(shares)}")
    steps = []
    for share, following in pairwise(shares):
        if not 0 < share < following <= 1:
            raise ValueError(f"shares must lie between 0 and 1 and rise, got {list(shares)}")
        least = next(users for edge, users in ((0.02, 5), (0.1, 20), (0.3, 40), (1.0, 100)) if share <= edge)
        steps.append(Step(share=share, following=following, minimum_users=100 if following == 1.0 else least))
    return tuple(steps)


def parse_shares(text: str) -> tuple[float, ...]:
    """Parse `0.01,0.05,1.0`.

    Raises:
        ValueError: A part is not a number.
    """
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"shares must be numbers separated by commas, got {text!r}") from error

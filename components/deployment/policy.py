"""The rules of a canary, fixed before the first request: shares, margins, minimum exposure, error rate, kill switches.

Margins follow from one number, the *harm budget* B: at every share s, harm to the users as a whole (s times the
candidate's excess) must have been bounded by B before the share is reached. So going to share s needs proof that the
candidate's excess is below B / s: at 5 % anything up to "every answer is bad" is within a budget of 5 points, at 25 %
an excess of 20 points, at 50 % of 10, and for everybody of 5.
"""

from itertools import pairwise
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from flywheel.components.contracts.document import Document


class Step(Document):
    """One share of the ramp, and what must be shown there before the next one."""

    share: float = Field(gt=0, lt=1)  # of the users
    minimum_users: int = Field(ge=2)  # matured users in each arm
    bad_feedback_margin: float = Field(gt=0, le=1)  # excess to be excluded, per-user rate; 1: nothing to exclude
    error_margin: float = Field(gt=0, le=1)
    latency_margin: float = Field(gt=1)  # ratio of geometric means to be excluded; at least 5: nothing to exclude


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
    alpha: float = Field(default=0.05, gt=0, lt=0.5)  # of a false rollback in all, and of a false promotion
    latency_tolerance: float = Field(default=1.5, gt=1)  # ratio of geometric means beyond which slower is harm
    latency_minimum_users: int = Field(default=20, ge=10)  # the latency bound is asymptotic: not before so many
    maturity: float = Field(default=200, ge=0)  # time after a user's first turn in an arm at which the user is judged
    look_every: int = Field(default=100, ge=1)  # requests between looks
    most_requests_per_step: int = Field(default=50_000, ge=1)  # then HOLD: a time-out never ships
    sample_ratio_alpha: float = Field(default=0.001, gt=0, lt=0.5)
    baseline_bad_rate: float = Field(default=0.1, gt=0, lt=1)  # expected of production; only to plan with
    users_per_day: float | None = Field(default=None, gt=0)  # only to say how many days a verdict takes
    kill: KillSwitches = KillSwitches()

    @model_validator(mode="after")
    def _rising(self) -> "CanaryPolicy":
        shares = [step.share for step in self.steps]
        if any(later <= earlier for earlier, later in pairwise(shares)):
            raise ValueError(f"shares must rise from step to step, got {shares}")
        if shares[-1] > 0.9:
            raise ValueError(f"the last share before everybody is {shares[-1]}: above 0.9 no control group is left")
        for earlier, later in pairwise(self.steps):
            if later.bad_feedback_margin > earlier.bad_feedback_margin or later.error_margin > earlier.error_margin:
                raise ValueError("margins must not widen while the share grows")
        return self

    @property
    def control_floor(self) -> float:
        """Users whose bucket is at or above this are never exposed before promotion: the fixed control group."""
        return self.steps[-1].share

    @classmethod
    def for_shares(
        cls, shares: tuple[float, ...], harm_budget: float = 0.05, latency_budget: float = 0.5
    ) -> "CanaryPolicy":
        """Derive the schedule from the harm budget (see the module's text).

        Args:
            shares: Shares of the users on the candidate, rising, the last 1.0.
            harm_budget: Largest tolerated excess of the bad-feedback and error rate over all users, per-user rate.
            latency_budget: Largest tolerated rise of the latency over all users, as a fraction.

        Returns:
            The policy; minimum users grow with the share (5, 20, 40, then 100 per arm).

        Raises:
            ValueError: The shares do not rise to 1.0.
        """
        if len(shares) < 2 or shares[-1] != 1.0:
            raise ValueError(f"shares must rise to 1.0, for example 0.01,0.05,0.25,0.5,1.0; got {list(shares)}")
        steps = []
        for share, following in pairwise(shares):
            if not 0 < share < 1:
                raise ValueError(f"a share must lie between 0 and 1, got {share}")
            least = next(users for edge, users in ((0.02, 5), (0.1, 20), (0.3, 40), (1.0, 100)) if share <= edge)
            steps.append(
                Step(
                    share=share,
                    minimum_users=100 if following == 1.0 else least,
                    bad_feedback_margin=min(1.0, harm_budget / following),
                    error_margin=min(1.0, harm_budget / following),
                    latency_margin=1 + latency_budget / following,
                )
            )
        return cls(steps=tuple(steps))

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Read a policy.

        Raises:
            ValueError: The file is not YAML or not a policy; the message names the file and the field.
        """
        import yaml

        try:
            return cls.model_validate(yaml.safe_load(Path(path).read_text(encoding="utf-8")))
        except (ValueError, yaml.YAMLError) as error:
            raise ValueError(f"{path} is not a valid canary policy: {error}") from error


def parse_shares(text: str) -> tuple[float, ...]:
    """Parse `0.01,0.05,1.0`.

    Raises:
        ValueError: A part is not a number.
    """
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise ValueError(f"shares must be numbers separated by commas, got {text!r}") from error

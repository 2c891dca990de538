"""The rollout state `flywheel.rollout/v1`: how far a canary came, what was seen at each look, and why it ended."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from flywheel.components.contracts.document import Document


class Action(StrEnum):
    """What the judge says at a look."""

    ADVANCE = "advance"
    HOLD = "hold"
    ROLLBACK = "rollback"


class CanaryMetric(Document):
    """One metric at one look; values are means per user, `difference` candidate minus production (or a ratio)."""

    name: str
    role: Literal["guardrail", "goal"] = "guardrail"
    better: Literal["lower", "higher"] = "lower"
    scale: Literal["difference", "ratio"] = "difference"
    production: float | None
    candidate: float | None
    difference: float | None
    lower: float | None  # anytime-valid bounds
    upper: float | None
    margin: float  # worst still tolerated at this step, in the unit of `difference`
    outcome: Literal["harm", "safe", "better", "unclear", "missing"]  # a goal is better, unclear or missing


class Look(Document):
    """One look of the judge at the traffic so far."""

    at: datetime
    share: float = Field(ge=0, le=1)  # of the users on the candidate
    users: dict[str, int]  # arm -> users seen: production, candidate
    requests: dict[str, int]
    metrics: tuple[CanaryMetric, ...]
    action: Action
    reasons: tuple[str, ...] = ()


class RolloutState(Document):
    """A rollout from start to end."""

    schema_: Literal["flywheel.rollout/v1"] = Field(default="flywheel.rollout/v1", alias="schema")
    run_id: str
    service: str
    production_digest: str
    candidate_digest: str
    policy_digest: str = ""  # a retry under other rules is another rollout
    shares: tuple[float, ...]
    looks: tuple[Look, ...] = ()
    decision: Literal["running", "promote", "rollback", "hold"] = "running"
    reasons: tuple[str, ...] = ()
    error_rate: str = ""


class UserQuestion(Document):
    """A line of a traffic file: one question of one simulated or replayed user, who knows the right answer."""

    subject: str = Field(min_length=1)
    conversation: str = ""
    messages: tuple[dict[str, str], ...] = Field(min_length=1)
    references: tuple[str, ...] = ()  # answers the user takes as right; none: the user cannot tell
    topic: str = ""

"""The A/B verdict `flywheel.ab/v1`: two live versions compared on the users that they had, valid at every look."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from flywheel.components.contracts.document import Document

AbDecision = Literal["a_better", "b_better", "equivalent", "unsettled", "refused"]


class AbMetric(Document):
    """One metric; values are means per user, `difference` is B minus A, or B over A (`scale` ratio).

    `lower` and `upper` share alpha with all other metrics and can name a winner; `own_lower` and `own_upper` have alpha
    for themselves and can show that B is no worse, or equivalent: there all metrics must agree, which needs no sharing.
    """

    name: str
    role: Literal["guardrail", "goal"]
    better: Literal["lower", "higher"]
    scale: Literal["difference", "ratio"] = "difference"
    users_a: int = Field(ge=0)  # matured users with a value
    users_b: int = Field(ge=0)
    a: float | None
    b: float | None
    difference: float | None
    lower: float | None
    upper: float | None
    own_lower: float | None
    own_upper: float | None
    margin: float  # as an amount: a difference of rates, or a fraction of A's geometric mean
    outcome: Literal["a_better", "b_better", "equivalent", "unclear", "missing"]
    a_no_worse: bool = False  # inside the margin, shown
    b_no_worse: bool = False


class AbVerdict(Document):
    """What the comparison says now; every later run of the step is one more look at the same comparison."""

    schema_: Literal["flywheel.ab/v1"] = Field(default="flywheel.ab/v1", alias="schema")
    run_id: str
    version_a: str
    version_b: str
    share_b: float = Field(gt=0, lt=1)  # promised share of the users
    since: datetime | None = None  # of the data; None: there was none
    until: datetime | None = None
    users: dict[str, int] = Field(default_factory=dict)  # a, b: all users seen
    matured: dict[str, int] = Field(default_factory=dict)  # a, b: users old enough to be compared
    turns: dict[str, int] = Field(default_factory=dict)
    contaminated: int = Field(default=0, ge=0)  # users who met both versions
    metrics: tuple[AbMetric, ...] = ()
    decision: AbDecision
    reasons: tuple[str, ...]
    error_rate: str
    rules_digest: str

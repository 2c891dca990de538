"""What one metric's statistics say, before any adjustment for multiplicity."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One metric, candidate against production.

    Attributes:
        scale: What `value` is: candidate minus production, candidate over production, or the candidate's own level.
        unit: Unit of both estimates, in words.
        direction: Which way is better.
        n: Paired items.
        clusters: Independent units.
        production: Production's estimate.
        candidate: Candidate's estimate.
        value: Difference, ratio or level.
        lower: One-sided lower limit of the value at the metric's alpha.
        upper: One-sided upper limit of the value at the metric's alpha.
        test: Name of the test with its source.
        p_superior: p-value of "better than production"; None when the measure has no such claim.
        p_safe: p-value of "no worse than the margin".
        p_harm: p-value of "worse than the margin".
        n_needed: Computes the items in all at which the claim would have its power; None when no number would do.
            A function, because it takes longer than the test and is asked for only when the test could not tell.
        reasons: Reason codes that this metric adds.
    """

    scale: Literal["difference", "ratio", "level"]
    unit: str
    direction: Literal["higher", "lower"]
    n: int
    clusters: int
    production: float
    candidate: float
    value: float
    lower: float
    upper: float
    test: str
    p_superior: float | None
    p_safe: float
    p_harm: float
    n_needed: Callable[[], int | None]
    reasons: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Levels:
    """Error rates a metric is tested at.

    Attributes:
        alpha: One-sided error rate of the claim.
        power: Power of the claim at the n it asks for.
    """

    alpha: float
    power: float

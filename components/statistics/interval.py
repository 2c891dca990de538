"""An interval estimate with the confidence that it claims."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A closed interval estimate.

    Attributes:
        lower: Lower limit, in the unit of the estimated quantity; may be ``-inf`` when nothing is known.
        upper: Upper limit, in the same unit; may be ``inf``.
        confidence: Probability that the procedure covers the truth, in (0, 1). Functions that return
            one-sided limits say that each limit holds with this confidence by itself.

    Raises:
        ValueError: If a limit is NaN, the limits are swapped or the confidence is outside (0, 1).
    """

    lower: float
    upper: float
    confidence: float

    def __post_init__(self) -> None:
        if math.isnan(self.lower) or math.isnan(self.upper):
            raise ValueError(f"interval limits must not be NaN, got [{self.lower}, {self.upper}]")
        if self.lower > self.upper:
            raise ValueError(f"lower limit {self.lower} is above upper limit {self.upper}")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence must lie in (0, 1), got {self.confidence}")

    @property
    def width(self) -> float:
        """Upper minus lower limit."""
        return self.upper - self.lower

    def contains(self, value: float) -> bool:
        """Tell whether ``value`` lies inside the interval, limits included."""
        return self.lower <= value <= self.upper

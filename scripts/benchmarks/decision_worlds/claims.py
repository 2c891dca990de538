"""A claim, what was measured, its Monte-Carlo error and its goal; and tables of them in Markdown."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Goal = Literal["at most", "at least", "between", ""]


@dataclass(frozen=True)
class Row:
    """One measured claim.

    Attributes:
        claim: What is promised.
        world: The truth it was measured in.
        measured: The figure.
        worlds: Worlds simulated; 0 when it is no simulation.
        goal: How the figure relates to the limits; "" for a figure that is only reported.
        limits: The goal's numbers.
        unit: "share", or the unit in words.
        error: Monte-Carlo standard error; None: that of a share over `worlds`.
    """

    claim: str
    world: str
    measured: float
    worlds: int
    goal: Goal = ""
    limits: tuple[float, ...] = ()
    unit: str = "share"
    error: float | None = None

    @property
    def standard_error(self) -> float:
        """Monte-Carlo standard error of the figure; 0 where there is none."""
        if self.error is not None:
            return self.error
        if not self.worlds or self.unit != "share":
            return 0.0
        share = min(max(self.measured, 1 / self.worlds), 1 - 1 / self.worlds)
        return math.sqrt(share * (1 - share) / self.worlds)

    @property
    def met(self) -> bool | None:
        """Whether the goal is met, two Monte-Carlo standard errors allowed; None without a goal."""
        slack = 2 * self.standard_error
        if self.goal == "at most":
            return self.measured <= self.limits[0] + slack
        if self.goal == "at least":
            return self.measured >= self.limits[0] - slack
        if self.goal == "between":
            return self.limits[0] - slack <= self.measured <= self.limits[1] + slack
        return None

    def cells(self) -> list[str]:
        """The row of a table."""
        goal = " and ".join(self._number(limit) for limit in self.limits)
        verdict = {True: "yes", False: "**NO**", None: "–"}[self.met]
        error = f" ± {self._number(self.standard_error, signs=2)}" if self.standard_error else ""
        return [
            self.claim,
            self.world,
            f"{self._number(self.measured)}{error}",
            f"{self.goal} {goal}".strip(),
            verdict,
            f"{self.worlds:,}" if self.worlds else "–",
        ]

    def _number(self, value: float, signs: int = 3) -> str:
        if self.unit == "share":
            return f"{100 * value:.{1 if value >= 0.001 or value == 0 else 2}f} %"
        if abs(value) >= 100:
            return f"{value:,.0f} {self.unit}"
        return f"{value:.{signs}g} {self.unit}"


HEAD = ("claim", "world", "measured", "goal", "met", "worlds")


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns."""
    widths = [max(len(str(row[place])) for row in (head, *rows)) for place in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(str(cell).ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([line(head), rule, *(line(row) for row in rows)])

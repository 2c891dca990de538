"""Betting confidence sequences: limits of a mean in [0, 1] that hold at every moment and at every sample size.

For each candidate mean m a gambler bets, value by value, that the true mean is above m. If m were true, the
gambler's wealth would ever reach ``1 / alpha`` with probability at most alpha, so every m that made the gambler that
rich is out. Nothing is assumed but the bounds and a mean that stays put. The stake is spread over twelve fixed bets,
each half the next: one of them is near the best for any sample size up to millions, and the limits (3.2 standard
errors to each side at 95%) are 40% narrower at 60 000 values than with the paper's plug-in bet.

Source: Waudby-Smith & Ramdas (2023), "Estimating means of bounded random variables by betting", arXiv:2010.09686,
JRSS-B 86:1 (capital process, theorem 3; mixed bets, section 4); Orabona & Jun (2021), arXiv:2110.14099 (portfolios).
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from flywheel.components.statistics.checked import FloatArray, choice, count, fraction, sample
from flywheel.components.statistics.interval import Interval

_BETS = 2.0 ** np.arange(-8, 4)
"""Bets that share the stake equally: wealth gained per unit of ``x - m``."""

_CAUTION = 0.95
"""Largest share of the wealth that one bet may lose at once."""

_BLOCK = 256
"""Values multiplied into the wealth at a time."""

_ZOOM = 4
"""Cells that the range is cut into at each zoom on the limit."""


class BettingSequence:
    """Running betting confidence sequence of one mean; feed it batches as they arrive.

    The limits are those of ``betting_interval`` on all values so far: they only ever tighten, and how the values
    were batched does not matter. A look costs time in proportion to the values seen (about 10 ms per thousand).

    Args:
        alpha: Error rate in (0, 1) over all moments together.
        grid: Resolution: limits are exact to 1/grid, rounded outwards.
        sided: ``two``: the interval covers with 1 - alpha (half for each side). ``one``: each limit by itself holds
            with 1 - alpha.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(self, alpha: float, grid: int = 1_000_000, sided: str = "two") -> None:
        self.alpha = fraction(alpha, "alpha")
        self.sided = choice(sided, "sided", ("one", "two"))
        self._grid = count(grid, "grid", least=2)
        self._values = np.empty(0)
        self._limits: tuple[float, float] | None = (0.0, 1.0)

    @property
    def n(self) -> int:
        """Values seen so far."""
        return self._values.size

    def update(self, batch: ArrayLike) -> "BettingSequence":
        """Take in new values.

        Args:
            batch: Values in [0, 1] in the order of arrival, shape (k,); may be empty.

        Returns:
            The sequence itself.

        Raises:
            ValueError: If a value is NaN or outside [0, 1].
        """
        values = sample(batch, "batch", 0, 1, least=0)
        if values.size:
            self._values = np.concatenate([self._values, values])
            self._limits = None
        return self

    @property
    def lower(self) -> float:
        """Lower limit now; 0 before the first value."""
        return self._look()[0]

    @property
    def upper(self) -> float:
        """Upper limit now; 1 before the first value."""
        return self._look()[1]

    @property
    def interval(self) -> Interval:
        """Both limits; if they cross, the mean has changed, and the interval is the crossing's midpoint."""
        return _interval(*self._look(), self.alpha)

    def _look(self) -> tuple[float, float]:
        if self._limits is None:
            risk = self.alpha / 2 if self.sided == "two" else self.alpha
            self._limits = (
                betting_lower(self._values, risk, self._grid),
                betting_upper(self._values, risk, self._grid),
            )
        return self._limits


def betting_interval(values: ArrayLike, alpha: float, grid: int = 1_000_000) -> Interval:
    """Two-sided betting interval after the last value, valid as if looked at after every one.

    Args:
        values: Values in [0, 1] in the order of arrival, shape (n,).
        alpha: Error rate in (0, 1).
        grid: Resolution: limits are exact to 1/grid, rounded outwards.

    Returns:
        Interval of the mean.

    Raises:
        ValueError: If values are empty, NaN or outside [0, 1], or alpha is out of range.
    """
    half = fraction(alpha, "alpha") / 2
    return _interval(betting_lower(values, half, grid), betting_upper(values, half, grid), alpha)


def betting_lower(values: ArrayLike, alpha: float, grid: int = 1_000_000) -> float:
    """One-sided lower limit of the mean after the last value, the best of all moments so far.

    Args:
        values: Values in [0, 1] in the order of arrival, shape (n,).
        alpha: Error rate in (0, 1) for this limit.
        grid: Resolution: exact to 1/grid, rounded down.

    Returns:
        Lower limit in [0, 1].

    Raises:
        ValueError: If values are empty, NaN or outside [0, 1], or an argument is out of range.
    """
    array = sample(values, "values", 0, 1)
    fraction(alpha, "alpha")
    count(grid, "grid", least=2)
    # The wealth against m falls in m, so the means ruled out are all those up to a point: zoom in on it.
    low, high = 0.0, 1.0
    while high - low > 1 / grid:
        means = np.linspace(low, high, _ZOOM + 1)
        ruled_out = np.flatnonzero(_ever_rich(array, means[1:-1], alpha))
        edge = int(ruled_out[-1]) + 1 if ruled_out.size else 0
        low, high = float(means[edge]), float(means[edge + 1])
    return low


def betting_upper(values: ArrayLike, alpha: float, grid: int = 1_000_000) -> float:
    """One-sided upper limit of the mean after the last value, the best of all moments so far.

    Args:
        values: Values in [0, 1] in the order of arrival, shape (n,).
        alpha: Error rate in (0, 1) for this limit.
        grid: Resolution: exact to 1/grid, rounded up.

    Returns:
        Upper limit in [0, 1].

    Raises:
        ValueError: As ``betting_lower``.
    """
    return 1 - betting_lower(1 - sample(values, "values", 0, 1), alpha, grid)


def candidate_weight_for(share: float, alpha: float = 0.05) -> float:
    """Share of alpha that the candidate's arm should get when it serves ``share`` of the traffic.

    Minimises the summed width ``sqrt(log(1/alpha_c)/share) + sqrt(log(1/alpha_p)/(1-share))``: the small arm is the
    wide one, so most of the risk goes there.

    Args:
        share: Planned traffic share of the candidate in (0, 1).
        alpha: Error rate to split, in (0, 1).

    Returns:
        Weight in (0, 1): 0.5 at equal traffic, about 0.9 at 5%.

    Raises:
        ValueError: If an argument is out of range.
    """
    share, alpha = fraction(share, "share"), fraction(alpha, "alpha")

    def width(weight: float) -> float:
        arms = ((weight, share), (1 - weight, 1 - share))
        return sum(math.sqrt(math.log(1 / (alpha * part)) / size) for part, size in arms)

    return float(optimize.minimize_scalar(width, bounds=(1e-6, 1 - 1e-6), method="bounded").x)


def difference_upper(
    candidate_values: ArrayLike, production_values: ArrayLike, alpha: float, candidate_weight: float = 0.8
) -> float:
    """Anytime-valid upper limit of mean(candidate) - mean(production) for two independent arms of any size.

    Alpha is split between the arms by a weight that must be fixed before the first look (Bonferroni): 0.8 for the
    candidate, the small arm of a canary, or ``candidate_weight_for(share)``.

    Args:
        candidate_values: Values in [0, 1] in the order of arrival, shape (n,).
        production_values: Values in [0, 1] in the order of arrival, shape (m,).
        alpha: Error rate in (0, 1) over all looks together.
        candidate_weight: Share of alpha spent on the candidate's arm, in (0, 1).

    Returns:
        Upper limit in [-1, 1]. Below the margin means "not worse" when larger values are worse.

    Raises:
        ValueError: If values are empty, NaN or outside [0, 1], or an argument is out of range.
    """
    mine, theirs = _split(alpha, candidate_weight)
    return betting_upper(candidate_values, mine) - betting_lower(production_values, theirs)


def difference_lower(
    candidate_values: ArrayLike, production_values: ArrayLike, alpha: float, candidate_weight: float = 0.8
) -> float:
    """Anytime-valid lower limit of mean(candidate) - mean(production); the mirror of ``difference_upper``.

    Args:
        candidate_values: Values in [0, 1] in the order of arrival, shape (n,).
        production_values: Values in [0, 1] in the order of arrival, shape (m,).
        alpha: Error rate in (0, 1) over all looks together.
        candidate_weight: Share of alpha spent on the candidate's arm, in (0, 1); fixed before the first look.

    Returns:
        Lower limit in [-1, 1].

    Raises:
        ValueError: As ``difference_upper``.
    """
    mine, theirs = _split(alpha, candidate_weight)
    return betting_lower(candidate_values, mine) - betting_upper(production_values, theirs)


def _ever_rich(values: FloatArray, means: FloatArray, risk: float) -> np.ndarray:
    """Tell for each mean m, shape (k,), whether betting on "the mean is above m" ever made ``1 / risk`` of 1."""
    bets = np.minimum(_BETS[:, None], _CAUTION / means)  # (bets, k): no bet can lose all
    wealth = np.full(bets.shape, 1 / _BETS.size)
    rich = np.zeros(means.size, dtype=bool)
    for start in range(0, values.size, _BLOCK):
        live = np.flatnonzero(~rich)
        x = values[start : start + _BLOCK, None, None]
        paths = wealth[:, live] * np.cumprod(1 + bets[:, live] * (x - means[live]), axis=0)
        rich[live] = paths.sum(axis=1).max(axis=0, initial=0) >= 1 / risk
        wealth[:, live] = paths[-1]
    return rich


def _split(alpha: float, weight: float) -> tuple[float, float]:
    alpha, weight = fraction(alpha, "alpha"), fraction(weight, "candidate_weight")
    return alpha * weight, alpha * (1 - weight)


def _interval(lower: float, upper: float, alpha: float) -> Interval:
    if lower > upper:
        lower = upper = (lower + upper) / 2
    return Interval(float(lower), float(upper), 1 - alpha)

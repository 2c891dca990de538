"""Difference of two bounded means at every look: bets on both arms, coupled so that what they share cancels.

The null "candidate's mean is at most production's plus delta" leaves production's mean theta unknown. For each theta
and each stake lambda the wealth

    prod_candidate (1 + lambda a (x - theta - delta))  *  prod_production (1 - lambda b (x - theta)),  a + b = 1,

is a nonnegative supermartingale that starts at 1, in whatever order the users of the two arms arrive (Waudby-Smith &
Ramdas 2023, arXiv:2010.09686, theorem 3); so is its average over stakes fixed in advance, and by Ville's inequality
it ever reaches 1 / alpha with probability at most alpha. With b the candidate's planned share of the compared users,
the first-order effect of theta cancels between the arms: the wealth hardly depends on theta, and a drift that both
arms share (a bad Monday) bets against itself. So theta need not be known well. It is confined by a betting interval of
production's mean for which a twentieth of alpha is set aside, and because the log wealth is concave in theta its
minimum over that interval lies at an end: nothing is searched and nothing is rounded.

Strata (waves of a ramp, each with shares and a theta of its own) multiply stake by stake.

Two independent mixtures, one an arm, pay for two unknown stakes and twice the log of the mixture; coupled, one stake
is left to guess, and weights may favour the stake ``effect / variance`` that is best for the effect looked for.
Everything rests on how often each value occurred, so a restarted judge is where it was, and whole arrays of simulated
worlds are judged at once. No asymptotics: exact at 5 users and at 5 million.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from flywheel.components.statistics.checked import FloatArray, fraction

STAKES: FloatArray = 1.9 * 1.5 ** -np.arange(17.0)
"""Wealth staked per unit of difference, from bold to careful: effects from everything down to a fiftieth of a point."""

_MOST = 0.95  # of the wealth that one user may lose; bolder stakes are cut to it

_SET_ASIDE = 0.05  # of alpha, for the interval of production's mean
_FRACTIONS = 0.98 * 2.0 ** -np.arange(11.0)  # bets of that interval


@dataclass(frozen=True)
class Stratum:
    """Users of both arms who may be compared with each other.

    Attributes:
        values: Values that occurred, each in [0, 1], shape (v,).
        production: How many production users have each value, shape (..., v); leading axes are worlds.
        candidate: The same of the candidate.
        share: Candidate's planned share of the compared users, in (0, 1); fixed before the first look.
    """

    values: FloatArray
    production: FloatArray
    candidate: FloatArray
    share: float

    @classmethod
    def of(cls, production: ArrayLike, candidate: ArrayLike, share: float) -> "Stratum":
        """Count the values of two arms.

        Args:
            production: One value in [0, 1] per user, shape (n,); may be empty.
            candidate: The same of the candidate.
            share: Candidate's planned share.

        Raises:
            ValueError: A value is NaN or outside [0, 1], or the share is outside (0, 1).
        """
        first, second = (np.asarray(arm, dtype=np.float64).ravel() for arm in (production, candidate))
        both = np.concatenate([first, second])
        if both.size and not (np.isfinite(both).all() and both.min() >= 0 and both.max() <= 1):
            raise ValueError("values must be numbers in [0, 1]")
        values, places = np.unique(both, return_inverse=True)
        counts = [np.bincount(part, minlength=values.size) for part in np.split(places.ravel(), [first.size])]
        before, after = (part.astype(np.float64) for part in counts)
        return cls(values, before, after, fraction(share, "share"))

    def mirrored(self) -> "Stratum":
        """The same users with 1 - x for x: what was above is below."""
        return Stratum(1 - self.values, self.production, self.candidate, self.share)


def stake_weights(effect: float, variance: float) -> FloatArray:
    """Weights of the stakes: most on the stake that wins fastest when the effect is what is expected.

    Args:
        effect: Distance between truth and null at which a quick verdict matters, in (0, 1].
        variance: Expected variance of one user's value, positive.

    Returns:
        Weights of ``STAKES``, positive, summing to 1. Any choice is valid; it must be fixed before the first look.

    Raises:
        ValueError: An argument is out of range.
    """
    if not (0 < effect <= 1 and 0 < variance <= 0.25):
        raise ValueError(f"effect must lie in (0, 1] and variance in (0, 0.25], got {effect} and {variance}")
    best = min(max(effect / variance, STAKES[-1]), STAKES[0])
    near = np.exp(-0.5 * (np.log(STAKES / best) / 0.8) ** 2)
    bold = np.where(STAKES > 0.5, 1.0, 0.0)  # a disaster must show within tens of users, whatever is expected
    return np.asarray(0.75 * near / near.sum() + 0.2 * bold / bold.sum() + 0.05 / STAKES.size)


def shown_above(
    strata: Sequence[Stratum],
    delta: ArrayLike,
    alpha: float,
    weights: FloatArray,
    confined: Sequence[tuple[FloatArray, FloatArray]] | None = None,
) -> np.ndarray:
    """Tell whether "candidate's mean is at most production's plus delta" is excluded.

    Args:
        strata: Users, at least one stratum.
        delta: Difference of the null in [-1, 1], a number or one a world.
        alpha: Chance that a true null is ever excluded, over all looks together, in (0, 1).
        weights: Weights of the stakes, from ``stake_weights``.
        confined: Intervals of production's mean by stratum, from ``confine``; None: computed here.

    Returns:
        Booleans with the shape of the worlds.
    """
    inside = confine(strata, alpha) if confined is None else confined
    goal = -np.log(alpha * (1 - _SET_ASIDE))
    logs = _stakes_of(strata, np.asarray(delta, dtype=np.float64), inside)
    peak = logs.max(axis=-1)
    with np.errstate(over="ignore", invalid="ignore"):
        total = peak + np.log(np.exp(logs - peak[..., None]) @ weights)
    return np.asarray(np.where(np.isposinf(peak), True, total >= goal))


def shown_below(
    strata: Sequence[Stratum],
    delta: ArrayLike,
    alpha: float,
    weights: FloatArray,
    confined: Sequence[tuple[FloatArray, FloatArray]] | None = None,
) -> np.ndarray:
    """Tell whether "candidate's mean is at least production's plus delta" is excluded; mirror of ``shown_above``."""
    inside = confine(strata, alpha) if confined is None else confined
    mirrored = [(1 - high, 1 - low) for low, high in inside]
    return shown_above([part.mirrored() for part in strata], -np.asarray(delta), alpha, weights, mirrored)


def difference_limits(
    strata: Sequence[Stratum],
    alpha_lower: float,
    alpha_upper: float,
    weights_lower: FloatArray,
    weights_upper: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """One-sided limits of candidate's mean minus production's mean, each valid at all looks together.

    Args:
        strata: Users, at least one stratum.
        alpha_lower: Chance that the lower limit is ever above the truth, in (0, 1).
        alpha_upper: Chance that the upper limit is ever below the truth, in (0, 1).
        weights_lower: Weights of the stakes for the lower limit.
        weights_upper: Weights of the stakes for the upper limit.

    Returns:
        Lower and upper limits in [-1, 1], in the shape of the worlds, rounded outwards to 2^-19.

    Raises:
        ValueError: An alpha is outside (0, 1).
    """
    lower_inside, upper_inside = confine(strata, alpha_lower), confine(strata, alpha_upper)
    edge = np.ones(strata[0].production.shape[:-1])
    lower = _largest(lambda delta: shown_above(strata, delta, alpha_lower, weights_lower, lower_inside), -edge, edge)
    upper = _largest(lambda delta: shown_below(strata, -delta, alpha_upper, weights_upper, upper_inside), -edge, edge)
    return lower, -upper


def confine(strata: Sequence[Stratum], alpha: float) -> list[tuple[FloatArray, FloatArray]]:
    """Intervals of production's mean, for which a twentieth of alpha is spent in all.

    Args:
        strata: Users.
        alpha: Error rate of the comparison that they serve, in (0, 1).

    Returns:
        Lower and upper limits by stratum, in the shape of the worlds.
    """
    risk = fraction(alpha, "alpha") * _SET_ASIDE / (2 * len(strata))
    found = []
    for part in strata:
        low = _mean_above(part.values, part.production, risk)
        found.append((low, 1 - _mean_above(1 - part.values, part.production, risk)))
    return found


def _mean_above(values: FloatArray, counts: FloatArray, risk: float) -> FloatArray:
    """Largest mean that the values exclude from below, by a mixture of fixed bets; 0 where nothing is known."""
    total = counts.sum(axis=-1)
    most = np.divide(counts @ values, total, out=np.zeros(total.shape), where=total > 0)
    goal = np.log(_FRACTIONS.size / risk)

    def excluded(means: FloatArray) -> np.ndarray:
        ratio = values[:, None] / np.maximum(means, 1e-12)[..., None, None] - 1
        logs = np.einsum("...v,...vf->...f", counts, np.log1p(ratio * _FRACTIONS))
        peak = logs.max(axis=-1)
        return np.asarray(peak + np.log(np.exp(logs - peak[..., None]).sum(axis=-1)) >= goal)

    return _largest(excluded, np.zeros(total.shape), most)


def _stakes_of(
    strata: Sequence[Stratum], delta: FloatArray, confined: Sequence[tuple[FloatArray, FloatArray]]
) -> FloatArray:
    """Log wealth of each stake, shape (..., stakes), at the worst production mean of each stratum."""
    whole = np.zeros(())
    for part, (low, high) in zip(strata, confined, strict=True):
        # Below -delta the null asks for a candidate mean below 0: impossible. Above 1 - delta it is always true of the
        # candidate, whose mean is then bounded by 1; the two pieces meet at a kink, which is an end as well.
        start = np.maximum(low, -delta)
        ends = [_wealth(part, theta, delta) for theta in (start, np.clip(1 - delta, start, high), high)]
        worst = np.minimum(np.minimum(ends[0], ends[1]), ends[2])
        whole = whole + np.where(np.broadcast_to((high < -delta)[..., None], worst.shape), np.inf, worst)
    return np.asarray(whole)


def _wealth(part: Stratum, theta: FloatArray, delta: FloatArray) -> FloatArray:
    mean = np.clip(theta + delta, 0.0, 1.0)
    stakes = np.minimum(STAKES, _MOST / max(part.share, 1 - part.share))
    up = (1 - part.share) * stakes * (part.values[:, None] - mean[..., None, None])
    down = part.share * stakes * (part.values[:, None] - theta[..., None, None])
    gained = np.einsum("...v,...vs->...s", part.candidate, np.log1p(up))
    return np.asarray(gained + np.einsum("...v,...vs->...s", part.production, np.log1p(-down)))


def _largest(excluded: Callable[[FloatArray], np.ndarray], low: FloatArray, high: FloatArray) -> FloatArray:
    """Zoom in on the largest value that is excluded, when all below it are; ``low`` where none is."""
    # One comparison: few passes over many values, as the overhead counts. Many worlds: as few values as can be.
    zoom, rounds = (32, 4) if low.ndim == 0 else (2, 20)
    parts = np.arange(1, zoom).reshape(-1, *([1] * low.ndim)) / zoom
    for _ in range(rounds):
        width = (high - low) / zoom
        out = excluded(low + (high - low) * parts)
        low = low + width * out.sum(axis=0)  # "excluded" is monotone: those that are come first
        high = low + width
    return np.asarray(low)

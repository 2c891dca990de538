"""Asymptotic confidence sequences: look at a running A/B comparison as often as you like.

A fixed-sample interval that is looked at 100 times misses its target 37% of the time. A confidence sequence covers
the truth at all looks at once. Source: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, "Time-uniform central limit
theory and asymptotic confidence sequences", arXiv:2103.06476 (Ann. Stat. 2024), theorem 2.2 and its one-sided variant.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from flywheel.components.statistics.checked import FloatArray, choice, count, fraction
from flywheel.components.statistics.interval import Interval

_SIDES = ("one", "two")


def rho_for(n_star: float, alpha: float, sided: str = "two") -> float:
    """Tuning constant that makes the sequence tightest at sample size ``n_star``; any value is valid.

    Args:
        n_star: Sample size at which the decision is expected, positive.
        alpha: Error rate in (0, 1).
        sided: ``two``, or ``one`` (then alpha counts on one side only).

    Returns:
        rho, positive. It must be fixed before the first look.

    Raises:
        ValueError: If an argument is out of range.
    """
    if not (n_star > 0 and math.isfinite(n_star)):
        raise ValueError(f"n_star must be positive and finite, got {n_star}")
    alpha = fraction(alpha, "alpha") * (2 if choice(sided, "sided", _SIDES) == "one" else 1)
    odds = -2 * math.log(min(alpha, 0.99))
    return math.sqrt((odds + math.log(odds + 1)) / n_star)


def asymptotic_half_width(
    variance: ArrayLike, n: ArrayLike, rho: float, alpha: float, sided: str = "two"
) -> FloatArray:
    """Half-width of the asymptotic confidence sequence of a mean.

    Args:
        variance: Sample variance of one observation; any broadcastable shape.
        n: Sample size so far, same or broadcastable shape.
        rho: Tuning constant from ``rho_for``, positive.
        alpha: Error rate in (0, 1) over the whole infinite sequence.
        sided: ``two``: mean +/- width covers at all n. ``one``: each of mean - width and mean + width by itself is
            a limit at all n.

    Returns:
        Half-width, broadcast shape; infinite where n is 0.

    Raises:
        ValueError: If an argument is NaN, negative or out of range.
    """
    spread, size = np.asarray(variance, dtype=np.float64), np.asarray(n, dtype=np.float64)
    if np.isnan(spread).any() or np.isnan(size).any() or (spread < 0).any() or (size < 0).any():
        raise ValueError("variance and n must be numbers that are not negative")
    if not (rho > 0 and math.isfinite(rho)):
        raise ValueError(f"rho must be positive and finite, got {rho}")
    fraction(alpha, "alpha")
    scaled = size * rho**2
    grown = np.sqrt(scaled + 1)
    odds = np.log(grown / alpha) if choice(sided, "sided", _SIDES) == "two" else np.log1p(grown / (2 * alpha))
    with np.errstate(divide="ignore", invalid="ignore"):
        width = np.sqrt(2 * spread * (scaled + 1) / (size * scaled) * odds)
    return np.where(size == 0, math.inf, width)


def asymptotic_difference(
    mean_a: float,
    var_a: float,
    n_a: int,
    mean_b: float,
    var_b: float,
    n_b: int,
    alpha: float,
    n_star: float,
    sided: str = "two",
) -> Interval:
    """Confidence sequence of ``mean_b - mean_a`` from sufficient statistics, arms of any size.

    Let a be production and b the candidate. Both arms get the larger of the two variances: a small arm that was
    lucky so far shows too little of its own (in simulation, at 1% traffic and a 2% event rate, one A/A canary in
    ten was called better, at alpha 0.05). With no variation in either arm nothing is known: infinite limits.

    The process lives in the time of the effective size ``n_a n_b / (n_a + n_b)``: half an arm at 50:50, about the
    small arm at 1:99. In that time the difference of two pooled means has independent increments whatever the
    traffic share, so the share may change between looks (a ramp) as long as each arm's users stay comparable over
    time. ``n_star`` is in that unit too. The guarantee is asymptotic: begin once both arms have seen some events.

    Args:
        mean_a: Mean over the users of arm a (production).
        var_a: Sample variance over the users of arm a.
        n_a: Users in arm a.
        mean_b: Mean over the users of arm b (candidate).
        var_b: Sample variance over the users of arm b.
        n_b: Users in arm b.
        alpha: Error rate in (0, 1) over all looks together.
        n_star: Effective size at which the limits shall be tightest; fixed before the first look.
        sided: ``two``: the interval covers with 1 - alpha. ``one``: each limit by itself holds with 1 - alpha.

    Returns:
        Interval of the difference at this look.

    Raises:
        ValueError: If a statistic is NaN or infinite, a variance negative, or an arm has fewer than two users.
    """
    for name, value in {"mean_a": mean_a, "mean_b": mean_b, "var_a": var_a, "var_b": var_b}.items():
        if not math.isfinite(value):
            raise ValueError(f"{name} must be finite, got {value}")
    if var_a < 0 or var_b < 0:
        raise ValueError(f"variances must not be negative, got {var_a} and {var_b}")
    count(n_a, "n_a", least=2)
    count(n_b, "n_b", least=2)
    lower, upper = asymptotic_difference_limits(mean_a, var_a, n_a, mean_b, var_b, n_b, alpha, n_star, sided)
    return Interval(float(lower), float(upper), 1 - alpha)


def asymptotic_difference_limits(
    mean_a: ArrayLike,
    var_a: ArrayLike,
    n_a: ArrayLike,
    mean_b: ArrayLike,
    var_b: ArrayLike,
    n_b: ArrayLike,
    alpha: float,
    n_star: float,
    sided: str = "two",
) -> tuple[FloatArray, FloatArray]:
    """``asymptotic_difference`` for whole arrays of looks or simulated worlds.

    Args:
        mean_a: Means of arm a, any broadcastable shape, as are the next five.
        var_a: Variances of arm a.
        n_a: Users in arm a, at least 1.
        mean_b: Means of arm b.
        var_b: Variances of arm b.
        n_b: Users in arm b, at least 1.
        alpha: Error rate in (0, 1).
        n_star: Effective size at which the limits shall be tightest.
        sided: ``two`` or ``one``.

    Returns:
        Lower and upper limits of ``mean_b - mean_a``, broadcast shape.

    Raises:
        ValueError: If a variance or size is NaN, negative or zero users are given.
    """
    a, b, size_a, size_b = (np.asarray(value, dtype=np.float64) for value in (var_a, var_b, n_a, n_b))
    if not ((size_a >= 1).all() and (size_b >= 1).all()):
        raise ValueError("both arms need users")
    if not ((a >= 0).all() and (b >= 0).all()):
        raise ValueError("variances must be numbers that are not negative")
    effective = size_a * size_b / (size_a + size_b)
    variance = np.maximum(a, b)
    width = asymptotic_half_width(variance, effective, rho_for(n_star, alpha, sided), alpha, sided)
    width = np.where(variance > 0, width, math.inf)
    difference = np.asarray(mean_b, dtype=np.float64) - np.asarray(mean_a, dtype=np.float64)
    return difference - width, difference + width

"""Exact (Clopper-Pearson) limits of a binomial rate: they never claim more than the counts allow.

Source: Clopper & Pearson (1934), Biometrika 26:404; Hanley & Lippman-Hand (1983), JAMA 249:1743 (rule of three).
"""

from scipy import special

from flywheel.components.statistics.checked import count, fraction
from flywheel.components.statistics.interval import Interval


def clopper_pearson(x: int, n: int, confidence: float = 0.95) -> Interval:
    """Two-sided exact interval of a rate.

    Args:
        x: Events, 0..n.
        n: Trials, at least 1; independent.
        confidence: Coverage in (0, 1).

    Returns:
        Interval of the rate, within [0, 1].

    Raises:
        ValueError: If the counts or the confidence are out of range.
    """
    tail = (1 + fraction(confidence, "confidence")) / 2
    return Interval(lower_bound(x, n, tail), upper_bound(x, n, tail), float(confidence))


def lower_bound(x: int, n: int, confidence: float = 0.95) -> float:
    """One-sided exact lower limit of a rate: the truth lies above it with the given confidence.

    Args:
        x: Events, 0..n.
        n: Trials, at least 1; independent.
        confidence: One-sided confidence in (0, 1).

    Returns:
        Lower limit in [0, 1]; 0 when x = 0.

    Raises:
        ValueError: If the counts or the confidence are out of range.
    """
    x, n = _counts(x, n)
    alpha = 1 - fraction(confidence, "confidence")
    return 0.0 if x == 0 else float(special.betaincinv(x, n - x + 1, alpha))


def upper_bound(x: int, n: int, confidence: float = 0.95) -> float:
    """One-sided exact upper limit of a rate: the truth lies below it with the given confidence.

    Args:
        x: Events, 0..n.
        n: Trials, at least 1; independent.
        confidence: One-sided confidence in (0, 1).

    Returns:
        Upper limit in [0, 1]; 1 when x = n.

    Raises:
        ValueError: If the counts or the confidence are out of range.
    """
    x, n = _counts(x, n)
    confidence = fraction(confidence, "confidence")
    return 1.0 if x == n else float(special.betaincinv(x + 1, n - x, confidence))


def rule_of_three(n: int, confidence: float = 0.95) -> float:
    """Largest rate that zero events in n trials leave plausible; about 3/n at 95%.

    Args:
        n: Trials without an event, at least 1.
        confidence: One-sided confidence in (0, 1).

    Returns:
        Upper limit of the rate, ``1 - (1 - confidence) ** (1 / n)``.

    Raises:
        ValueError: If n < 1 or the confidence is out of range.
    """
    return upper_bound(0, n, confidence)


def _counts(x: int, n: int) -> tuple[int, int]:
    n, x = count(n, "n", least=1), count(x, "x")
    if x > n:
        raise ValueError(f"x must be at most n, got x={x}, n={n}")
    return x, n

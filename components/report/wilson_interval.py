"""Wilson's score interval of a share (Wilson 1927, JASA 22:209): stays inside [0, 1] and is sound at small counts."""

import math

_Z95 = 1.959963984540054  # 97.5 % quantile of the standard normal


def wilson_interval(events: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a share.

    Args:
        events: Events, 0..trials.
        trials: Trials, at least 1; taken as independent.

    Returns:
        Lower and upper limit in [0, 1].

    Raises:
        ValueError: The counts are not possible.
    """
    if trials < 1 or not 0 <= events <= trials:
        raise ValueError(f"no share of {events} in {trials}")
    share, square = events / trials, _Z95**2
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    half = _Z95 / (1 + square / trials) * math.sqrt(share * (1 - share) / trials + square / (4 * trials**2))
    lower = 0.0 if events == 0 else max(0.0, middle - half)
    upper = 1.0 if events == trials else min(1.0, middle + half)
    return lower, upper

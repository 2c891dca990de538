"""Did answers get worse? Bad feedback, errors and latency of the current window against the reference, day by day.

At the end of each day the mean over all interactions since the window began is compared with the reference mean. The
band is an asymptotic confidence sequence (Waudby-Smith et al., arXiv:2103.06476, `statistics.confidence_sequence`) over
the user-clustered standard error, widened for few users as Student's t is against the normal, so that looking every day
does not add up to false alarms. (At seven looks it is also wider than Student limits at a seventh of alpha each, so the
promise does not hang on the sequence's independent increments, which users who come back break.) An alarm is raised at
the first look whose lower limit lies above the tolerance.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flywheel.components.monitoring import user_flips, windows
from flywheel.components.statistics import confidence_sequence

_DAY = 86_400.0
FEWEST_USERS = 10
"""Users of the current window at the first look; before that a limit would be a guess."""


@dataclass(frozen=True)
class QualityLook:
    """The state at the end of a day.

    Attributes:
        at: ISO time.
        users: Users seen in the current window so far.
        rows: Interactions so far.
        value: Mean so far (a rate, or geometric mean latency in ms).
        change: Value minus reference, or the ratio for latency.
        lower: Lower limit of the change, valid at all looks together.
        upper: Upper limit.
    """

    at: str
    users: int
    rows: int
    value: float
    change: float
    lower: float
    upper: float


@dataclass(frozen=True)
class QualityAlarm:
    """One measure of quality.

    Attributes:
        measure: bad_feedback, errors or latency.
        scale: "difference" (of rates) or "ratio" (of geometric means).
        reference: Value in the reference window; None if it was not logged often enough.
        tolerance: Largest change that is tolerated.
        alpha: Chance of a false alarm in a stable window, over all looks.
        outcome: alarm, quiet or missing.
        fired_at: ISO time of the first look above the tolerance; "" if none.
        looks: One per day.
    """

    measure: str
    scale: str
    reference: float | None
    tolerance: float
    alpha: float
    outcome: str
    fired_at: str = ""
    looks: list[QualityLook] = field(default_factory=list)


def watch(
    measure: str,
    values: NDArray[np.float64],
    log: "windows.Windows",
    tolerance: float,
    alpha: float,
    scale: str = "difference",
) -> QualityAlarm:
    """Watch one measure through the current window.

    Args:
        measure: Name.
        values: Value of each interaction, NaN where there is none, larger is worse, shape (n,). For scale "ratio"
            positive values; values that are not are passed over.
        log: The windows.
        tolerance: Largest rise tolerated: a difference of rates, or a ratio above 1.
        alpha: Chance of a false alarm over all looks, in (0, 1).
        scale: "difference" or "ratio".

    Returns:
        The alarm with its looks; outcome "missing" when too few interactions of a window hold a value.
    """
    from scipy import stats

    ratio = scale == "ratio"
    there = np.isfinite(values) & (values > 0) if ratio else np.isfinite(values)
    y, current, users, at = values[there], log.current[there], log.users[there], log.at[there]
    if not windows.big_enough(users, current):
        return QualityAlarm(measure, scale, None, tolerance, alpha, "missing")
    y = np.log(y) if ratio else y
    reference = float(y[~current].mean())
    # Half of the users who will come is when the limits shall be tight; it depends on no outcome.
    rho = confidence_sequence.rho_for(max(len(np.unique(users[current])) / 2, 1.0), alpha, "one")
    looks: list[QualityLook] = []
    fired = ""
    for moment in _look_times(log):
        seen = ~current | (at <= moment)
        now = current[seen]
        people = len(np.unique(users[seen][now]))
        if people < FEWEST_USERS:
            continue
        change, error = user_flips.difference(y[seen][:, None], now, users[seen])
        error = error * stats.t.isf(alpha, people - 1) / stats.norm.isf(alpha)
        width = confidence_sequence.asymptotic_half_width(error[0] ** 2 * people, people, rho, alpha, "one")
        low, high = float(change[0] - width), float(change[0] + width)
        worse = low > (np.log(tolerance) if ratio else tolerance)
        fired = fired or (windows.iso(moment) if worse else "")
        value = reference + float(change[0])
        looks.append(
            QualityLook(
                at=windows.iso(moment),
                users=people,
                rows=int(now.sum()),
                value=float(np.exp(value)) if ratio else value,
                change=float(np.exp(change[0])) if ratio else float(change[0]),
                lower=float(np.exp(low)) if ratio else max(low, -1.0),
                upper=float(np.exp(min(high, 50.0))) if ratio else min(high, 1.0),
            )
        )
    return QualityAlarm(
        measure=measure,
        scale=scale,
        reference=float(np.exp(reference)) if ratio else reference,
        tolerance=tolerance,
        alpha=alpha,
        outcome="alarm" if fired else "quiet",
        fired_at=fired,
        looks=looks,
    )


def _look_times(log: "windows.Windows") -> list[float]:
    end = log.boundary + log.days * _DAY
    days = int(np.ceil(log.days))
    return [min(log.boundary + (day + 1) * _DAY, end) for day in range(days)]

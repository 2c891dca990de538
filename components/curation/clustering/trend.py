"""Whether a cluster grows: failures per interaction in the newest period against the periods before.

The unit is the user: one who asks fifty times is one piece of evidence. Two-sided score test of equal rates with the
variance over users (linearised ratio; Rao & Scott 1992, Biometrics 48:577), Holm over the clusters: with no change
anywhere, the chance that any cluster is called growing or shrinking is at most `FALSE_CALLS`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from flywheel.components.statistics.multiplicity import holm

FALSE_CALLS = 0.05
PERIODS = 8  # shown; the newest is compared with up to four before it
_BEFORE = 4
_LEAST_FAILURES, _LEAST_USERS = 8, 8  # fewer say nothing

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = 86_400_000_000  # microseconds


@dataclass(frozen=True)
class Events:
    """What happened to whom and when.

    Attributes:
        users: Number of each event's user, the smaller the earlier its name (`users.Users.ranks`); shape (n,).
        times: Microseconds since 1970, int64 (n,).
    """

    users: np.ndarray
    times: np.ndarray

    def __len__(self) -> int:
        return len(self.users)

    def only(self, some: np.ndarray) -> "Events":
        """The events that a mask or indices name."""
        return Events(self.users[some], self.times[some])


def microseconds(times: Iterable[datetime]) -> list[int]:
    """Microseconds since 1970."""
    return [(at - EPOCH) // timedelta(microseconds=1) for at in times]


@dataclass(frozen=True)
class Trend:
    """One cluster over time.

    Attributes:
        call: "growing", "shrinking", "steady" (no change shown), or "too little data".
        now: Failures in the newest period.
        before: Failures in the periods that it is compared with.
        rate_now: Failures per interaction in the newest period.
        rate_before: The same in the periods before.
        lower: Lower limit of the difference of the rates, 95 % for this cluster alone.
        upper: Upper limit.
        p_value: Adjusted for the number of clusters.
        counts: Failures by period, the oldest first.
    """

    call: str
    now: int
    before: int
    rate_now: float
    rate_before: float
    lower: float
    upper: float
    p_value: float
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Periods:
    """Periods of equal length that end with the newest interaction.

    Attributes:
        days: Length of one.
        end: Time of the newest interaction.
        number: Periods that hold interactions, at most `PERIODS`.
    """

    days: int
    end: datetime
    number: int

    def back(self, times: np.ndarray) -> np.ndarray:
        """Periods back from the newest of each time: 0 is the newest."""
        (end,) = microseconds([self.end])
        return np.trunc((end - times) / (self.days * _DAY)).astype(np.int64)


def periods(times: np.ndarray) -> Periods | None:
    """Weeks when the interactions span ten days or more, else days; None when they span less than two days.

    Args:
        times: Microseconds since 1970, shape (n,).
    """
    if not len(times):
        return None
    last = EPOCH + timedelta(microseconds=int(times.max()))
    span = timedelta(microseconds=int(times.max() - times.min()))
    days = 7 if span >= timedelta(days=10) else 1
    if span < timedelta(days=2):
        return None
    return Periods(days, last, min(PERIODS, int(span / timedelta(days=days)) + 1))


def trends(failures: Sequence[Events], interactions: Events, over: Periods | None) -> list[Trend]:
    """Compare each cluster's rate of failures between the newest period and those before.

    Args:
        failures: Of each cluster, its failures.
        interactions: All interactions.
        over: The periods.

    Returns:
        One trend per cluster.
    """
    if over is None:
        return [Trend("too little data", len(events), 0, 0.0, 0.0, 0.0, 0.0, 1.0, ()) for events in failures]
    users = np.unique(interactions.users)
    base = _by_user(interactions, users, over)
    counts = [_by_period(some, over) for some in failures]
    tested = [_compare(_by_user(some, users, over), base) for some in failures]
    p_values = holm([p for *_, p in tested]) if tested else []
    made = []
    for row, (difference, half, now, before, enough, _) in zip(range(len(tested)), tested, strict=True):
        shown = enough and p_values[row] <= FALSE_CALLS
        call = ("growing" if difference > 0 else "shrinking") if shown else "steady" if enough else "too little data"
        in_base = base.sum(axis=0)
        made.append(
            Trend(
                call=call,
                now=int(now),
                before=int(before),
                rate_now=round(float(now / max(in_base[0], 1)), 6),
                rate_before=round(float(before / max(in_base[1], 1)), 6),
                lower=round(difference - half, 6),
                upper=round(difference + half, 6),
                p_value=round(p_values[row], 6),
                counts=counts[row],
            )
        )
    return made


def _by_user(events: Events, users: np.ndarray, over: Periods) -> np.ndarray:
    """Events of each of the sorted users now and before, shape (users, 2)."""
    back = over.back(events.times)
    counted = (back >= 0) & (back <= min(_BEFORE, over.number - 1)) & np.isin(events.users, users)
    row, column = np.searchsorted(users, events.users[counted]), np.minimum(back[counted], 1)
    return np.bincount(2 * row + column, minlength=2 * len(users)).reshape(-1, 2).astype(np.float64)


def _by_period(events: Events, over: Periods) -> tuple[int, ...]:
    back = over.back(events.times)
    counts = np.bincount(back[(back >= 0) & (back < over.number)], minlength=over.number)
    return tuple(counts[::-1].tolist())


def _compare(events: np.ndarray, base: np.ndarray) -> tuple[float, float, float, float, bool, float]:
    """(difference of rates, half width of its interval, failures now, before, enough data, p) of one cluster."""
    from scipy.special import stdtr, stdtrit

    now, before = events.sum(axis=0).tolist()
    in_now, in_before = base.sum(axis=0).tolist()
    behind = int((events.sum(axis=1) > 0).sum())
    if not in_now or not in_before:
        return 0.0, 0.0, now, before, False, 1.0
    rates = events.sum(axis=0) / base.sum(axis=0)
    difference = float(rates[0] - rates[1])
    pooled = float(events.sum() / base.sum())
    under_null = _influence(events, base, np.array([pooled, pooled]))
    spread = _influence(events, base, rates)
    error, null_error = _deviation(spread), _deviation(under_null)
    enough = now + before >= _LEAST_FAILURES and behind >= _LEAST_USERS
    freedom = max(1.0, _effective(under_null) - 1)
    p_value = 2 * float(stdtr(freedom, -abs(difference) / null_error)) if enough and null_error > 0 else 1.0
    half = float(stdtrit(max(1.0, _effective(spread) - 1), 0.975)) * error if error > 0 else 0.0
    return difference, half, now, before, enough, p_value


def _influence(events: np.ndarray, base: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """What each user adds to the difference of the two rates, shape (users,)."""
    parts = (events - rates * base) / base.sum(axis=0)
    return np.asarray(parts[:, 0] - parts[:, 1])


def _deviation(influence: np.ndarray) -> float:
    users = len(influence)
    return float(np.sqrt((influence**2).sum() * users / max(1, users - 1)))


def _effective(influence: np.ndarray) -> float:
    """Number of users that the variance rests on: one who swings everything leaves 1 (Satterthwaite 1946)."""
    fourth = float((influence**4).sum())
    return float((influence**2).sum() ** 2 / fourth) if fourth else 1.0

"""Traffic minute by minute: users who stay for a while, and so make per-minute averages lean on each other.

What Kayenta-like rules look at (a series of minutes) and what ours looks at (a value a user) come from the same turns.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from flywheel.components.statistics.confidence_sequence import asymptotic_difference_limits
from flywheel.components.statistics.coupled_bets import Stratum, shown_above, stake_weights
from flywheel.scripts.benchmarks.decision_worlds.common_rules import kayenta_fails

Floats = NDArray[np.floating]
Flags = NDArray[np.bool_]

AGE = 10  # minutes after which a user is judged, by the turns until then
_TURNS = np.arange(1, AGE + 1)
_SHARES = np.unique((np.arange(AGE + 1)[:, None] / _TURNS).ravel().round(9))
_SHARES = _SHARES[_SHARES <= 1]
_SPREAD = np.float32(0.5)  # standard deviation of the log latency between users, and of one turn around the user's own


@dataclass(frozen=True)
class Stream:
    """A truth about the traffic of two arms of equal size.

    Attributes:
        rates: (production, candidate) share of bad turns.
        stay: Mean minutes a user stays, one turn a minute; 1: every turn is another user's.
        users: Users who come in the hour, to each arm.
        icc: Correlation of the bad turns of one user.
        metrics: Guardrails: the share of bad turns, and latencies that are equal in both arms.
        minutes: Length of the canary.
        look_every: Minutes between looks.
    """

    rates: tuple[float, float] = (0.05, 0.05)
    stay: float = 15.0
    users: int = 120
    icc: float = 0.3
    metrics: int = 10
    minutes: int = 60
    look_every: int = 6


@dataclass(frozen=True)
class _Arm:
    """One arm of many worlds: users come at `start` and each metric has a value every minute they are there."""

    start: NDArray[np.int64]  # (worlds, users)
    active: Flags  # (worlds, users, minutes)

    def by_minute(self, values: Floats) -> Floats:
        """Mean over the users of each minute, shape (worlds, minutes); an empty minute repeats the world's mean."""
        weight = self.active.sum(axis=1)
        total = (values * self.active).sum(axis=1)
        whole = total.sum(axis=1, keepdims=True) / np.maximum(weight.sum(axis=1, keepdims=True), 1)
        return np.where(weight > 0, total / np.maximum(weight, 1), whole)

    def by_user(self, values: Floats) -> tuple[Floats, NDArray[np.int64]]:
        """Mean of each user's first turns and their number, shape (worlds, users)."""
        minute = np.arange(values.shape[2])
        aged = self.active & (minute < self.start[..., None] + AGE)
        turns = aged.sum(axis=2)
        return (values * aged).sum(axis=2) / np.maximum(turns, 1), turns


def decide(stream: Stream, worlds: int, seed: int, alpha: float = 0.05) -> dict[Literal["ours", "kayenta"], Flags]:
    """Let both rules watch the same turns.

    Args:
        stream: The truth.
        worlds: How many.
        seed: Seed.
        alpha: Error rate of ours, over all looks and metrics together.

    Returns:
        Whether each rule rolls back, arrays of shape (worlds,).
    """
    rng = np.random.default_rng(seed)
    ours, kayenta = [], []
    for start in range(0, worlds, 50):
        count = min(50, worlds - start)
        arms = [_come(stream, count, rng) for _ in range(2)]
        back, failed = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
        for metric in range(stream.metrics):
            values = [_values(stream, arm, metric, stream.rates[place], rng) for place, arm in enumerate(arms)]
            series = [arm.by_minute(value) for arm, value in zip(arms, values, strict=True)]
            failed |= [kayenta_fails(series[1][world], series[0][world]) for world in range(count)]
            back |= _ours(stream, arms, values, metric == 0, alpha / stream.metrics)
        ours.append(back)
        kayenta.append(failed)
    return {"ours": np.concatenate(ours), "kayenta": np.concatenate(kayenta)}


def _come(stream: Stream, worlds: int, rng: np.random.Generator) -> _Arm:
    start = rng.integers(0, stream.minutes, (worlds, stream.users))
    stop = start + rng.geometric(1 / stream.stay, start.shape)
    minute = np.arange(stream.minutes)
    return _Arm(start, (minute >= start[..., None]) & (minute < stop[..., None]))


def _values(stream: Stream, arm: _Arm, metric: int, rate: float, rng: np.random.Generator) -> Floats:
    if metric:
        own = rng.standard_normal((*arm.start.shape, 1), dtype=np.float32)
        return np.asarray(_SPREAD * (own + rng.standard_normal(arm.active.shape, dtype=np.float32)))
    propensity = rate + stream.icc * (1 - rate)
    habit = np.where(rng.random(arm.start.shape) < rate / propensity, propensity, 0.0)
    return (rng.random(arm.active.shape, dtype=np.float32) < habit[..., None]).astype(np.float32)


def _ours(stream: Stream, arms: list[_Arm], values: list[Floats], is_rate: bool, alpha: float) -> Flags:
    """Any look shows harm: bets on shares of bad turns, the asymptotic sequence on mean log latencies."""
    shown = np.zeros(len(arms[0].start), dtype=bool)
    users = [arm.by_user(value) for arm, value in zip(arms, values, strict=True)]
    places = [np.searchsorted(_SHARES, mean - 1e-6) for mean, _ in users] if is_rate else []
    weights = stake_weights(0.015, 0.05)
    for look in range(AGE + stream.look_every, stream.minutes + 1, stream.look_every):
        ripe = [(turns > 0) & (arm.start + AGE <= look) for arm, (_, turns) in zip(arms, users, strict=True)]
        if is_rate:
            counts = [_histogram(place, old) for place, old in zip(places, ripe, strict=True)]
            shown |= shown_above([Stratum(_SHARES, counts[0], counts[1], 0.5)], 0.0, alpha, weights)
            continue
        n = [old.sum(axis=1) for old in ripe]
        (first, var_a), (second, var_b) = (_moments(mean, old) for (mean, _), old in zip(users, ripe, strict=True))
        lower, _ = asymptotic_difference_limits(
            first, var_a, np.maximum(n[0], 1), second, var_b, np.maximum(n[1], 1), alpha, 50.0, "one"
        )
        shown |= (np.minimum(*n) >= 20) & (lower > 0)
    return shown


def _histogram(places: NDArray[np.intp], ripe: Flags) -> Floats:
    flat = (np.arange(len(places))[:, None] * _SHARES.size + places)[ripe]
    return np.bincount(flat, minlength=len(places) * _SHARES.size).reshape(len(places), -1).astype(np.float64)


def _moments(values: Floats, ripe: Flags) -> tuple[Floats, Floats]:
    n = np.maximum(ripe.sum(axis=1), 2)
    mean = (values * ripe).sum(axis=1) / n
    return mean, (((values - mean[:, None]) ** 2) * ripe).sum(axis=1) / (n - 1)

"""What a canary measures of one user: numbers from the turns of the user's first days in an arm.

A *rate* is a share of the user's turns, in [0, 1], and is judged by bets that are exact at any size; a *log mean* is a
mean of logarithms, whose difference between the arms is the log of a ratio of geometric means, and is judged by an
asymptotic sequence.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

from flywheel.components.deployment.canary.turn import Turn

Estimator = Literal["rate", "log_mean"]
Better = Literal["lower", "higher"]
Measure = Literal[
    "bad_feedback", "dissatisfaction", "bad_turns", "feedback_rate", "engagement", "copies", "returns", "errors",
    "latency", "latency_p95", "cost",
]  # fmt: skip

ESTIMATORS: dict[Measure, Estimator] = {
    "bad_feedback": "rate",
    "dissatisfaction": "rate",
    "bad_turns": "rate",
    "feedback_rate": "rate",
    "engagement": "log_mean",
    "copies": "rate",
    "returns": "rate",
    "errors": "rate",
    "latency": "log_mean",
    "latency_p95": "rate",
    "cost": "log_mean",
}

BETTER: dict[Measure, Better] = {
    "bad_feedback": "lower",
    "dissatisfaction": "lower",
    "bad_turns": "lower",
    "feedback_rate": "higher",
    "engagement": "higher",
    "copies": "higher",
    "returns": "higher",
    "errors": "lower",
    "latency": "lower",
    "latency_p95": "lower",
    "cost": "lower",
}

_SHARES: dict[Measure, Callable[[Turn], bool]] = {
    "bad_feedback": lambda turn: turn.complained,
    "dissatisfaction": lambda turn: turn.dissatisfied,
    "bad_turns": lambda turn: turn.bad,
    # A complaint is feedback too, but counting it here would punish a better model for drawing fewer. This asks
    # whether those who have nothing to complain about still speak: it falls when the thumbs vanish from the page.
    "feedback_rate": lambda turn: turn.rating is not None and turn.rating >= 0,
    "copies": lambda turn: "copy" in turn.implicit,
    "errors": lambda turn: turn.error,
}


def values_of(
    turns: Sequence[Turn], slow_ms: float | None, return_gap: float, in_tokens: bool = True
) -> dict[Measure, float]:
    """Measure one user.

    Args:
        turns: The user's turns in one arm up to the age of maturity, at least one, in order.
        slow_ms: Latency beyond which a turn counts as slow; None while it is not known.
        return_gap: Silence after which a further turn is a return, in the clock's unit.
        in_tokens: Whether cost is counted in tokens; else in characters of the answer.

    Returns:
        A value for each measure that this user shows; latency and cost need an answered turn.
    """
    found: dict[Measure, float] = {name: _share(turns, is_so) for name, is_so in _SHARES.items()}
    found["engagement"] = math.log(len(turns))
    times = [turn.asked_at for turn in turns]
    found["returns"] = float(any(later - earlier >= return_gap for earlier, later in pairwise(times)))
    answered = [turn for turn in turns if not turn.error]
    timed = [turn for turn in answered if turn.latency_ms > 0]  # 0: nobody measured it
    if timed:
        found["latency"] = _mean([math.log(turn.latency_ms) for turn in timed])
        if slow_ms is not None:
            found["latency_p95"] = _share(timed, lambda turn: turn.latency_ms > slow_ms)
    if answered:
        lengths = [(turn.tokens or 0) if in_tokens else len(turn.response) for turn in answered]
        found["cost"] = _mean([math.log(max(length, 1)) for length in lengths])
    return found


def _share(turns: Sequence[Turn], is_so: Callable[[Turn], bool]) -> float:
    return sum(map(is_so, turns)) / len(turns)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)

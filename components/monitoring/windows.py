"""The log cut in two: the last days (current) against everything before (reference)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

MIN_ROWS = 50
MIN_USERS = 20

_DAY = 86_400.0
# What a user does when the answer was no good; automated signals are judged apart.
_BAD_IMPLICIT = frozenset({"regenerate", "rephrase", "abandon", "dissatisfied", "corrected"})
# A mined sign's value is the measured confidence of its rule (components/intake/joining); a reported one's is 1.
_SURE_ENOUGH = 0.7


@dataclass(frozen=True)
class Windows:
    """Interactions in order of time, each marked as reference or current.

    Attributes:
        ids: Interaction ids, shape (n,).
        users: Number of the subject in 0..U-1, shape (n,).
        at: Seconds since 1970 UTC, shape (n,).
        current: Whether the row is in the current window, shape (n,).
        prompts: Prompts, length n.
        may_be_shown: Whether the user consented to the use of the content, shape (n,).
        prompt_chars: Length of the prompt in characters, shape (n,).
        response_chars: Length of the response in characters, shape (n,).
        latency_ms: Latency in milliseconds, NaN where none was logged, shape (n,).
        bad: 1 where the user rated the answer down, corrected it, regenerated, rephrased or left, or the
            next turn showed as much with confidence, shape (n,).
        error: 1 where serving failed, NaN everywhere if the log holds no automated signals, shape (n,).
        boundary: Start of the current window, seconds since 1970 UTC.
        days: Length of the current window, days.
        unknown: Why nothing can be said; "" when something can.
    """

    ids: list[str]
    users: NDArray[np.int64]
    at: NDArray[np.float64]
    current: NDArray[np.bool_]
    prompts: list[str]
    may_be_shown: NDArray[np.bool_]
    prompt_chars: NDArray[np.float64]
    response_chars: NDArray[np.float64]
    latency_ms: NDArray[np.float64]
    bad: NDArray[np.float64]
    error: NDArray[np.float64]
    boundary: float
    days: float
    unknown: str

    def described(self) -> dict[str, Any]:
        """Rows, users and times of both windows as JSON values."""
        return {name: self._window(mask) for name, mask in (("reference", ~self.current), ("current", self.current))}

    def _window(self, mask: NDArray[np.bool_]) -> dict[str, Any]:
        times = self.at[mask]
        return {
            "rows": int(mask.sum()),
            "users": len(np.unique(self.users[mask])),
            "first": iso(float(times.min())) if times.size else None,
            "last": iso(float(times.max())) if times.size else None,
        }


def cut(interactions: pa.Table, feedback: pa.Table, current_days: float) -> Windows:
    """Cut the log at `current_days` before its last interaction, and attach what users said to each interaction.

    Feedback counts in the window of the interaction that it is about, however late it came.

    Args:
        interactions: Columns interaction_id, subject, timestamp, prompt, response, consent.
        feedback: Columns interaction_id, kind, name, value; rows about unknown interactions are passed over.
        current_days: Length of the current window, days.

    Returns:
        The windows; `unknown` says why nothing can be said when one of them is too small.

    Raises:
        ValueError: `current_days` is not positive.
    """
    if not 0 < current_days < 36_500:
        raise ValueError(f"current_days must be positive (days, at most a century), got {current_days}")
    rows = interactions.sort_by([("timestamp", "ascending"), ("interaction_id", "ascending")])
    ids = rows["interaction_id"].to_pylist()
    at = np.array([moment.timestamp() for moment in rows["timestamp"].to_pylist()], dtype=np.float64)
    boundary = float(at[-1]) - current_days * _DAY if at.size else 0.0
    place = {name: number for number, name in enumerate(ids)}
    bad, error, latency = np.zeros(len(ids)), np.zeros(len(ids)), np.full(len(ids), np.nan)
    automated = False
    for signal in feedback.to_pylist():
        number = place.get(signal["interaction_id"])
        if number is None:
            continue
        kind, name, value = signal["kind"], signal["name"], signal["value"]
        if _is_bad(kind, name, value):
            bad[number] = 1
        elif kind == "automated":
            automated = True
            if name == "latency_ms" and value is not None:
                latency[number] = value
            elif name == "error" and (value is None or value != 0):
                error[number] = 1
    subjects = np.unique(np.array(rows["subject"].to_pylist(), dtype=object).astype(str), return_inverse=True)[1]
    prompts = rows["prompt"].to_pylist()
    current = at > boundary
    users = subjects.astype(np.int64).ravel()
    return Windows(
        ids=ids,
        users=users,
        at=at,
        current=current,
        prompts=prompts,
        may_be_shown=np.array(rows["consent"].to_pylist(), dtype=bool),
        prompt_chars=np.array([len(text) for text in prompts], dtype=np.float64),
        response_chars=np.array([len(text) for text in rows["response"].to_pylist()], dtype=np.float64),
        latency_ms=latency,
        bad=bad,
        error=error if automated else np.full(len(ids), np.nan),
        boundary=boundary,
        days=current_days,
        unknown=_too_small(users, current),
    )


def big_enough(users: NDArray[np.int64], current: NDArray[np.bool_]) -> bool:
    """Whether both windows hold enough rows and users for a test.

    Args:
        users: User of each row, shape (n,).
        current: Window of each row, shape (n,).

    Returns:
        Whether each has at least MIN_ROWS rows of at least MIN_USERS users.
    """
    return not _too_small(users, current)


def iso(seconds: float) -> str:
    """Return seconds since 1970 UTC as ISO time to the second."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=round(seconds))).isoformat()


def _is_bad(kind: str, name: str, value: float | None) -> bool:
    if kind == "rating":
        return value is not None and value < 0
    if kind == "implicit":
        return name in _BAD_IMPLICIT and (value is None or value >= _SURE_ENOUGH)
    return kind == "correction"


def _too_small(users: NDArray[np.int64], current: NDArray[np.bool_]) -> str:
    for name, mask in (("reference", ~current), ("current", current)):
        rows, people = int(mask.sum()), len(np.unique(users[mask]))
        if rows < MIN_ROWS or people < MIN_USERS:
            return (
                f"the {name} window holds {rows} interactions of {people} users; "
                f"at least {MIN_ROWS} of {MIN_USERS} are needed to say anything"
            )
    return ""

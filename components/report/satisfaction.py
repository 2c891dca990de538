"""How content users were, day by day, from the feedback table."""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

Z95 = 1.959963984540054


def wilson(share: float, users: int, z: float = Z95) -> tuple[float, float]:
    """Return the score interval of a share (Wilson 1927, doi:10.2307/2276774).

    Args:
        share: Mean over users of each user's share of positive ratings, in [0, 1].
        users: Users, at least 1. One user's ratings hang together, so users count, not ratings; with shares between 0
            and 1 per user the interval is wider than it need be, never narrower.
        z: Quantile of the normal distribution; 95 % two-sided by default.

    Returns:
        Lower and upper limit, in [0, 1].

    Raises:
        ValueError: No users, or the share is not in [0, 1].
    """
    if users < 1 or not 0 <= share <= 1:
        raise ValueError(f"a share in [0, 1] of at least one user is needed, got {share} of {users}")
    centre = (share + z * z / (2 * users)) / (1 + z * z / users)
    half = z / (1 + z * z / users) * math.sqrt(share * (1 - share) / users + z * z / (4 * users * users))
    return max(0.0, centre - half), min(1.0, centre + half)


def by_day(ratings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Summarise ratings day by day (UTC).

    Args:
        ratings: Rows with `day` (ISO date), `subject`, and `up`, `down`, `neutral` (counts).

    Returns:
        One dictionary per day with ratings, in order: day, users, up, down, neutral, positive (mean over users of the
        share of their thumbs that point up; None when nobody gave one), lower, upper.
    """
    days: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in ratings:
        days[row["day"]].append(row)
    summary = []
    for day in sorted(days):
        totals = Counter[str]()
        shares = []
        for row in days[day]:
            for name in ("up", "down", "neutral"):
                totals[name] += row[name]
            if row["up"] + row["down"]:
                shares.append(row["up"] / (row["up"] + row["down"]))
        positive = sum(shares) / len(shares) if shares else None
        lower, upper = wilson(positive, len(shares)) if positive is not None else (None, None)
        summary.append(
            {"day": day, "users": len(shares), **{name: totals[name] for name in ("up", "down", "neutral")},
             "positive": positive, "lower": lower, "upper": upper}
        )  # fmt: skip
    return summary


def read(store: str) -> dict[str, Any]:
    """Summarise the feedback table of a store.

    Args:
        store: URI of the feedback store.

    Returns:
        `days` as in `by_day`, `thumbs` (up, down, neutral) and `signals` (feedback rows by kind, implicit ones by
        name); all empty when the store has no feedback.
    """
    import pyarrow.compute as pc

    from flywheel.components.store import delta_table

    empty: dict[str, Any] = {"days": [], "thumbs": {"up": 0, "down": 0, "neutral": 0}, "signals": {}}
    if not delta_table.exists(store, "feedback"):
        return empty
    table = delta_table.read(
        delta_table.latest(store, "feedback"), columns=["feedback_id", "subject", "timestamp", "kind", "name", "value"]
    )
    signals = Counter[str]()
    for row in table.group_by(["kind", "name"]).aggregate([("feedback_id", "count")]).to_pylist():
        if row["kind"] == "automated":
            continue
        signals[row["name"] if row["kind"] == "implicit" else row["kind"]] += row["feedback_id_count"]
    rated = table.filter((pc.field("kind") == "rating") & pc.field("value").is_valid())
    rated = rated.append_column("day", pc.strftime(rated["timestamp"], format="%Y-%m-%d"))
    rated = rated.append_column("sign", pc.sign(rated["value"]))
    counts: dict[tuple[str, str], dict[str, Any]] = {}
    names = {1.0: "up", -1.0: "down", 0.0: "neutral"}
    for row in rated.group_by(["day", "subject", "sign"]).aggregate([("feedback_id", "count")]).to_pylist():
        key = (row["day"], row["subject"])
        entry = counts.setdefault(key, {"day": key[0], "subject": key[1], "up": 0, "down": 0, "neutral": 0})
        entry[names[row["sign"]]] += row["feedback_id_count"]
    days = by_day(list(counts.values()))
    thumbs = {name: sum(day[name] for day in days) for name in ("up", "down", "neutral")}
    return {"days": days, "thumbs": thumbs, "signals": dict(sorted(signals.items()))}

"""How users took the answers: ratings per day from the feedback table, and per arm of the canary."""

from collections import Counter
from datetime import date, timedelta
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.contracts.feedback import JOINED_SOURCE, SIMULATED_SOURCE
from flywheel.components.contracts.tables import TableReference
from flywheel.components.report.wilson_interval import wilson_interval

_MOST_PERIODS = 62


def satisfaction(interactions: TableReference | None, feedback: TableReference | None, run_id: str) -> dict[str, Any]:
    """Count ratings.

    Args:
        interactions: Version of the interactions; None: there is no such table.
        feedback: Version of the feedback; None: there is no such table.
        run_id: Run whose canary is told apart.

    Returns:
        `periods` (ratings of the log by UTC day, or by longer periods when the log is long), `period_days`, `total`,
        `users` and `interactions` of the log, `signals` (log rows by kind), and `canary` by arm (ratings, users).
        A share is positive among rated; its limits are Wilson's at 95 %, ratings taken as independent.
    """
    from flywheel.components.store import delta_table

    seen = _no_interactions()
    if interactions is not None:
        seen = delta_table.read(interactions, seen.column_names)
    log = seen.filter(pc.not_equal(seen["source"], SIMULATED_SOURCE))
    found: dict[str, Any] = {
        "periods": [],
        "period_days": 1,
        "total": _counts([]),
        "users": pc.count_distinct(log["subject"]).as_py(),
        "interactions": log.num_rows,
        "signals": {},
        "canary": {},
    }
    if feedback is None:
        return found
    rows = delta_table.read(feedback, ["feedback_id", "interaction_id", "timestamp", "kind", "value", "source"])
    canary = pc.equal(rows["source"], SIMULATED_SOURCE)
    # what joining derived repeats or reads what the log says; it is no row of the log
    logged = rows.filter(pc.invert(pc.or_(canary, pc.equal(rows["source"], JOINED_SOURCE))))
    ratings = _ratings(logged)
    days = ratings["timestamp"].cast(pa.date32()).to_pylist()
    values = ratings["value"].to_pylist()
    size = _period_days(days)
    return found | {
        "periods": _periods(days, values, size),
        "period_days": size,
        "total": _counts(values),
        "signals": dict(sorted(Counter(logged["kind"].to_pylist()).items())),
        "canary": _arms(seen, _ratings(rows.filter(canary)), run_id),
    }


def _no_interactions() -> pa.Table:
    columns = ["interaction_id", "subject", "source", "run_id", "attributes"]
    return pa.table({name: pa.array([], pa.string()) for name in columns})


def _ratings(rows: pa.Table) -> pa.Table:
    return rows.filter(pc.and_(pc.equal(rows["kind"], "rating"), pc.is_valid(rows["value"])))


def _counts(values: list[float]) -> dict[str, Any]:
    up, down = sum(value > 0 for value in values), sum(value < 0 for value in values)
    counted: dict[str, Any] = {"up": up, "down": down, "neutral": len(values) - up - down, "rated": len(values)}
    if not values:
        return counted | {"share": None, "lower": None, "upper": None}
    lower, upper = wilson_interval(up, len(values))
    return counted | {"share": up / len(values), "lower": lower, "upper": upper}


def _period_days(days: list[date]) -> int:
    if not days:
        return 1
    span = (max(days) - min(days)).days + 1
    return next(size for size in (1, 7, 28, 91, 364, 3640, 364000) if span <= size * _MOST_PERIODS)


def _periods(days: list[date], values: list[float], size: int) -> list[dict[str, Any]]:
    """Group by period; periods without a rating are left out."""
    if not days:
        return []
    first = min(days)
    groups: dict[int, list[float]] = {}
    for day, value in zip(days, values, strict=True):
        groups.setdefault((day - first).days // size, []).append(value)
    return [
        {"day": (first + timedelta(days=place * size)).isoformat(), **_counts(groups[place])}
        for place in sorted(groups)
    ]


def _arms(interactions: pa.Table, ratings: pa.Table, run_id: str) -> dict[str, Any]:
    """Ratings and users of the run's canary by arm."""
    of_run = pc.and_(pc.equal(interactions["source"], SIMULATED_SOURCE), pc.equal(interactions["run_id"], run_id))
    ours = interactions.filter(of_run)
    arm_of: dict[str, str] = {}
    users: dict[str, set[str]] = {}
    for row in ours.select(["interaction_id", "subject", "attributes"]).to_pylist():
        arm = str(orjson.loads(row["attributes"]).get("arm", ""))
        arm_of[row["interaction_id"]] = arm
        users.setdefault(arm, set()).add(row["subject"])
    values: dict[str, list[float]] = {}
    for name, value in zip(ratings["interaction_id"].to_pylist(), ratings["value"].to_pylist(), strict=True):
        if name in arm_of:
            values.setdefault(arm_of[name], []).append(value)
    answers = Counter(arm_of.values())
    return {
        arm: {"users": len(users[arm]), "answers": answers[arm], **_counts(values.get(arm, []))}
        for arm in ("production", "candidate")
        if arm in users
    }

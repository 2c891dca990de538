"""How many users come a day, measured from the log, so that the days of a canary can be said before it starts."""

from datetime import timedelta

import pyarrow.compute as pc

from flywheel.components.store import delta_table, observed

_WINDOW = timedelta(days=28)
_LEAST = timedelta(hours=6)  # a shorter log says nothing about a day


def users_per_day(store: str) -> float | None:
    """Count the different users of the log's last four weeks and divide by the days that it spans.

    A user who comes every day counts once in the whole span, as in a canary: who was seen already does not bring it on.

    Args:
        store: URI of the feedback store.

    Returns:
        New users a day; None when there is no store, no interaction, or less than six hours of them.
    """
    if not store.strip() or not delta_table.exists(store, "interactions"):
        return None
    rows = observed.read(delta_table.latest(store, "interactions"), ["subject", "timestamp"])
    if rows.num_rows == 0:
        return None
    last = pc.max(rows["timestamp"]).as_py()
    recent = rows.filter(pc.greater_equal(rows["timestamp"], last - _WINDOW))
    span = last - pc.min(recent["timestamp"]).as_py()
    if span < _LEAST:
        return None
    return float(pc.count_distinct(recent["subject"]).as_py() / (span / timedelta(days=1)))

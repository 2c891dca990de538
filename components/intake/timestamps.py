"""Points in time as logs write them: ISO 8601 or seconds (milli-, micro-, nanoseconds) since 1970."""

import math
from datetime import UTC, date, datetime, timedelta

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)  # no chat log is older
FUTURE_SKEW = timedelta(days=1)  # clocks and time zones may be that wrong


def parse(value: object) -> datetime:
    """Read a timestamp; without a time zone it is UTC.

    Args:
        value: ISO 8601 text, a number (its size tells seconds, milli-, micro- or nanoseconds), or a datetime.

    Raises:
        ValueError: Not a point in time; the message does not repeat the value.
    """
    if type(value) is str and value[4:5] == "-" and value[:4].isdecimal():  # no number; most logs write this
        return _iso(value)
    if isinstance(value, bool) or value is None:
        raise ValueError("timestamp: missing; give ISO 8601 or seconds since 1970")
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, str):
        text = value.strip()
        try:
            value = float(text)
        except ValueError:
            return _iso(text)
    try:
        seconds = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:  # an integer of more than 300 digits
        seconds = math.inf
    if not math.isfinite(seconds):
        raise ValueError("timestamp: not a finite number; give ISO 8601 or seconds since 1970")
    for _ in range(3):
        if abs(seconds) >= 1e11:  # seconds reach the year 5138 there, milliseconds start in 1973
            seconds /= 1000
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise ValueError("timestamp: out of range; give ISO 8601 or seconds since 1970") from error


def _iso(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is UTC:
            return moment
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("timestamp: neither ISO 8601 nor a number") from error


def latest(now: datetime) -> datetime:
    """Return the latest timestamp that can be true at the time of reading."""
    return now + FUTURE_SKEW


def problem(moment: datetime, now: datetime) -> tuple[str, str] | None:
    """Return reason code and words when a timestamp cannot be true.

    Args:
        moment: The timestamp.
        now: The time of reading.
    """
    if moment > latest(now):
        return "timestamp_in_future", f"timestamp: {moment.isoformat()} is more than a day ahead; check the clock"
    if moment < EARLIEST:
        return "timestamp_too_old", f"timestamp: {moment.isoformat()} is before the year 2000; check its unit"
    return None

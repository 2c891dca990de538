"""Rows that no parser should take: cut off, mistyped, from the future, in another encoding."""

import json
from datetime import timedelta
from random import Random
from typing import Any

from flywheel.components.contracts.feedback import SCHEMA

KINDS = ("truncated", "not_json", "wrong_type", "no_timestamp", "future", "latin1", "binary", "empty", "no_message")


def row(kind: str, sample: dict[str, Any], random: Random, days_ahead: int = 400) -> bytes:
    """Break a good row.

    Args:
        kind: One of `KINDS`.
        sample: A good record in JSON shape; it is not changed.
        random: Source of chance.
        days_ahead: How far in the future a `future` row lies, in days.

    Returns:
        One line without its end.

    Raises:
        ValueError: Unknown kind.
    """
    from datetime import datetime

    record = json.loads(json.dumps(sample))
    record["interaction"] = f"broken-{random.randrange(10**9):09d}"
    text = json.dumps(record, ensure_ascii=False)
    if kind == "truncated":
        return text[: random.randrange(20, len(text) - 10)].encode()
    if kind == "not_json":
        return f"ERROR {SCHEMA} worker {random.randrange(100)} lost connection".encode()
    if kind == "wrong_type":
        record["signals"] = {"rating": random.choice(("good", 7, [1]))}
    elif kind == "no_timestamp":
        del record["timestamp"]
    elif kind == "future":
        later = datetime.fromisoformat(record["timestamp"]) + timedelta(days=days_ahead * 10)
        record["timestamp"] = later.isoformat()
    elif kind == "latin1":
        record["messages"][-1]["content"] = "Wie teuer ist das Gerät für Übergrößen?"
        return json.dumps(record, ensure_ascii=False).encode("latin-1", errors="replace")
    elif kind == "binary":
        return bytes(random.randrange(1, 256) for _ in range(60)).replace(b"\n", b"\xff").replace(b"\r", b"\xfe")
    elif kind == "empty":
        return b""
    elif kind == "no_message":
        record["messages"] = []
        record.pop("response", None)
        record["signals"] = {}
        record.pop("interaction")
    else:
        raise ValueError(f"unknown kind of malformed row: {kind!r}; known: {', '.join(KINDS)}")
    return json.dumps(record, ensure_ascii=False).encode()


def rows(count: int, samples: list[dict[str, Any]], random: Random) -> list[tuple[str, bytes]]:
    """Break `count` rows, every kind in turn.

    Returns:
        (kind, line without its end), in a fixed order.
    """
    return [(KINDS[n % len(KINDS)], row(KINDS[n % len(KINDS)], random.choice(samples), random)) for n in range(count)]

"""Alerts as JSON lines (`flywheel.alert/v1`): appended whole, once per run and kind, however often a step runs."""

import fcntl
import hashlib
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson

SCHEMA = "flywheel.alert/v1"

Severity = Literal["info", "warning", "critical"]


@dataclass(frozen=True)
class Alert:
    """One alert.

    Attributes:
        run_id: Run that raised it.
        kind: What it is about; with the run id it makes the alert's identity.
        severity: info, warning or critical.
        reason: Reason code, stable.
        summary: One sentence with the numbers.
        what_to_do: One sentence for who is on call.
        at: ISO time of the data that raised it (not of the clock, so that a repeated step writes the same line).
        evidence: Numbers that it rests on, JSON values.
    """

    run_id: str
    kind: str
    severity: Severity
    reason: str
    summary: str
    what_to_do: str
    at: str
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """32 hex digits of BLAKE2b over run id and kind."""
        return hashlib.blake2b(orjson.dumps([self.run_id, self.kind]), digest_size=16).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Render as JSON values."""
        return {"schema": SCHEMA, "id": self.id, **asdict(self)}


def append(path: str, alerts: list[Alert]) -> int:
    """Append the alerts that the file does not hold yet.

    The file is locked while it is read and written, new lines go in with one write, and a line that a killed writer
    left unfinished is cut off first (its alert is not counted as there, so it is written again).

    Args:
        path: JSON-lines file on this machine; made with its folder when missing.
        alerts: Alerts to append.

    Returns:
        Alerts written; 0 when all were there.

    Raises:
        ValueError: The path is an object-store URI or a folder, or cannot be written.
    """
    if "://" in path:
        raise ValueError(f"alerts go to a file on this machine, not to {path}; mount the store or leave `alerts` empty")
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(target, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise ValueError(f"cannot write alerts to {path}: {error}") from error
    with os.fdopen(handle, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        held = file.read()
        whole = held[: held.rfind(b"\n") + 1]
        if len(whole) < len(held):
            file.truncate(len(whole))
        there = {_id(line) for line in whole.splitlines()}
        new: dict[str, bytes] = {}
        for alert in alerts:
            if alert.id not in there:
                new.setdefault(alert.id, orjson.dumps(alert.to_json()) + b"\n")
        if new:
            file.seek(len(whole))
            file.write(b"".join(new.values()))
            file.flush()
            os.fsync(file.fileno())
    return len(new)


def _id(line: bytes) -> str:
    """Id of a line; somebody else's line has none of ours."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return ""
    return str(found.get("id", "")) if isinstance(found, dict) else ""

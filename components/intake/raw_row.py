"""One row of a log as it was read: its fields, or the reason why there are none."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(slots=True)  # not frozen: making one would take four times as long
class RawRow:
    """One row of a log: `value` when it could be read, otherwise `reason` and what was there (`text`).

    A line may hold several rows (the spans of an export, a trace and its scores): `part` counts them.
    """

    file: str
    line: int  # from 1
    size: int  # bytes as read
    modified: datetime  # of the file
    value: dict[str, Any] | None = None
    tabular: bool = False
    reason: str = ""
    detail: str = ""
    text: str = ""  # undecodable bytes stand as lone surrogates (surrogateescape)
    shape: str = ""  # name of the row's format (formats.registry); "": not looked at yet
    part: int = 0  # from 0, within the line

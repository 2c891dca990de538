"""One row of a log as it was read: its fields, or the reason why there are none."""

from datetime import datetime
from typing import Any

import msgspec

from flywheel.components.intake.json_text import parse_json
from flywheel.components.intake.plain_row import PlainRow


class RawRow(msgspec.Struct, gc=False):
    """One row of a log: `value` or `plain` when it could be read, otherwise `reason` and what was there (`text`).

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
    plain: PlainRow | None = None  # of a row that takes the short way; `value` is not parsed then
    line_bytes: bytes = b""  # what `plain` was read from

    def fields(self) -> dict[str, Any] | None:
        """Return `value`, parsed now when the row came as `plain`."""
        if self.value is None and self.plain is not None:
            self.value = parse_json(self.line_bytes)
        return self.value

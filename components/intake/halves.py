"""Joins requests with responses while logs are read: in any order, within a file or over several, in bounded memory."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from flywheel.components.intake.formats import flat_record, kserve_log
from flywheel.components.intake.formats.fields import NO_CONSENT
from flywheel.components.intake.json_text import text_of
from flywheel.components.intake.raw_row import RawRow

_WAITING_BYTES = 128 << 20  # raw halves never touch a disk, so they wait in memory
_OTHER = {"request": "response", "response": "request"}


@dataclass(frozen=True)
class _Waiting:
    row: RawRow
    half: str


class HalfJoiner:
    """Halves of inferences that wait for the other half; other rows pass through."""

    def __init__(self, most_bytes: int = _WAITING_BYTES) -> None:
        self._most = most_bytes
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()
        self._bytes = 0

    def offer(self, row: RawRow) -> Iterator[RawRow]:
        """Yield the rows that are whole now: an inference's come with the place of its request."""
        found = kserve_log.half_of(row.value) if row.value is not None and row.shape == "kserve" else None
        if found is None:
            yield row
            return
        identity, half = found
        there = self._waiting.get(identity)
        if there is None:
            self._waiting[identity] = _Waiting(row, half)
            self._bytes += row.size
            while self._bytes > self._most:
                yield self._lonely(next(iter(self._waiting)))
        elif there.half == half:
            words = f"the {half} of inference {identity} is there already; the first one stays"
            yield _refused(row, "conflicting_duplicate", words)
        else:
            self._take(identity)
            asked, said = (row, there.row) if half == "request" else (there.row, row)
            rows = kserve_log.inferences(asked.value or {}, said.value or {})
            for part, value in enumerate(rows):
                yield msgspec.structs.replace(asked, value=value, part=part, size=(asked.size + said.size) // len(rows))

    def rest(self) -> Iterator[RawRow]:
        """Yield the halves whose other half never came, as rows that cannot be used."""
        while self._waiting:
            yield self._lonely(next(iter(self._waiting)))

    def _take(self, identity: str) -> _Waiting:
        waiting = self._waiting.pop(identity)
        self._bytes -= waiting.row.size
        return waiting

    def _lonely(self, identity: str) -> RawRow:
        waiting = self._take(identity)
        missing = _OTHER[waiting.half]
        words = f"inference {identity}: only its {waiting.half} is in these logs, or far away from it"
        return _refused(waiting.row, f"{missing}_missing", words)


def _refused(row: RawRow, reason: str, words: str) -> RawRow:
    """Return the row of a half that cannot be used; nothing of it is kept when its user said no."""
    data = (row.value or {}).get("data")
    if isinstance(data, dict) and not flat_record.consent(data):
        return msgspec.structs.replace(row, value=None, text="", reason="no_consent", detail=NO_CONSENT)
    return msgspec.structs.replace(row, value=None, text=text_of(row.value), reason=reason, detail=words)

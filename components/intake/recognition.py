"""Which rows of a batch are new: told from what the tables hold, and from the lines of the batch before."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import orjson
import pyarrow as pa

from flywheel.components.intake.draft import Draft


@dataclass(slots=True)  # not frozen, as RawRow
class Written:
    """A row that is in a table (or will be, from an earlier line of the batch): by whom, from where, saying what."""

    this_run: bool
    file: str
    line: int
    content: str
    part: int = 0

    @classmethod
    def of(cls, this_run: bool, attributes: str) -> "Written":
        """Read it from a row's attributes."""
        origin = orjson.loads(attributes).get("intake", {})
        return cls(
            this_run, origin.get("file", ""), origin.get("line", 0), origin.get("content", ""), origin.get("part", 0)
        )

    def same_row(self, other: "Written") -> bool:
        """Whether both come from the same line of the same file in the same run."""
        return (self.this_run, self.file, self.line, self.part) == (other.this_run, other.file, other.line, other.part)


class Recognition:
    """What is known of the ids of a batch; learns of each row that it judges.

    Args:
        interactions: Rows of the table `interactions` with ids of the batch: columns id, run_id, attributes.
        feedback: Rows of the table `feedback` with ids of the batch: the same columns.
        run_id: Run that writes.
        label: Gives the scrubbed label of a file.
    """

    def __init__(self, interactions: pa.Table, feedback: pa.Table, run_id: str, label: Callable[[str], str]) -> None:
        self._interactions: dict[str, Written | Draft] = _written(interactions, run_id)
        self._feedback: dict[str, Written | Draft] = _written(feedback, run_id)
        self._label = label

    def verdict(self, draft: Draft) -> Literal["accepted", "duplicate", "conflict"]:
        """Judge the next row: accepted when something of it is new, or was written by an earlier attempt of this run.

        In conflict is a row whose interaction is there with other content.
        """
        new = False
        if draft.content:
            known = self._interactions.setdefault(draft.interaction_id, draft)
            if known is draft:
                new = True
            elif known.content != draft.content:
                return "conflict"
            else:
                new = self._same_row(known, draft)
        for signal in draft.signals:
            known = self._feedback.setdefault(signal.feedback_id, draft)
            new = new or known is draft or self._same_row(known, draft)
        return "accepted" if new else "duplicate"

    def _same_row(self, known: Written | Draft, draft: Draft) -> bool:
        there = self._as_written(known) if isinstance(known, Draft) else known
        return there.same_row(self._as_written(draft))

    def _as_written(self, draft: Draft) -> Written:
        return Written(True, self._label(draft.raw.file), draft.raw.line, draft.content, draft.raw.part)


def _written(rows: pa.Table, run_id: str) -> dict[str, Written | Draft]:
    if not rows.num_rows:
        return {}
    columns = zip(*(rows[name].to_pylist() for name in rows.column_names), strict=True)
    return {identity: Written.of(run == run_id, attributes) for identity, run, attributes in columns}

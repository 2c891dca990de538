"""Interactions and feedback of the store, brought together by conversation with one part in memory at a time."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.contracts.feedback import JOINED_SOURCE, SIMULATED_SOURCE
from flywheel.components.contracts.tables import FeedbackSnapshot
from flywheel.components.intake.joining.dialogues import Said, group_key, said_in
from flywheel.components.intake.joining.spill import Spill, parts_for
from flywheel.components.store import delta_table

_INTERACTION = ["interaction_id", "conversation_id", "subject", "timestamp", "messages", "prompt", "response", "source"]
_FEEDBACK = ["feedback_id", "interaction_id", "subject", "timestamp", "kind", "annotator", "name", "value", "text",
             "source", "attributes"]  # fmt: skip
# Clients that report a signal do so for at least this share of answers; a stray row makes no source a reporting one.
REPORTING_SHARE = 0.005
_GROUP = pa.field("group", pa.string())


@dataclass
class Group:
    """One conversation, or all threads that begin with the same words where no conversation is named.

    Attributes:
        said: Its interactions.
        feedback: Feedback rows about them, as in the table, with `conversation` and `turn` where they name no
            interaction, and `anonymous` where they name no user.
    """

    said: list[Said] = field(default_factory=list)
    feedback: list[dict[str, Any]] = field(default_factory=list)


class Groups:
    """The groups of a snapshot; what simulated users did and what joining wrote before is left out."""

    def __init__(self, snapshot: FeedbackSnapshot, folder: Path) -> None:
        """Read both tables once.

        Args:
            snapshot: Versions to read.
            folder: Folder for the parts; the caller removes it.

        Attributes:
            watermark: Newest time in either table; None when both are empty.
            rows: Feedback rows by kind.
            reported: Implicit signals that clients reported themselves, by (source, name).
            answers: Interactions by source.
            measured: Automated rows whose interaction is there; the groups do not hold them.
            interactions: Interactions.
        """
        self.watermark: datetime | None = None
        self.rows: Counter[str] = Counter()
        self.reported: Counter[tuple[str, str]] = Counter()
        self.answers: Counter[str] = Counter()
        self.measured = 0
        self.interactions = 0
        self._parts = parts_for(delta_table.count(snapshot.interactions) + delta_table.count(snapshot.feedback))
        self._said = Spill(folder / "said", self._parts)
        self._of = Spill(folder / "of", self._parts)
        self._by_id = Spill(folder / "by-id", self._parts)
        self._feedback = Spill(folder / "feedback", self._parts)
        self._lonely = Spill(folder / "lonely", 1)
        self._read_interactions(snapshot)
        self._read_feedback(snapshot)
        self._meet()

    def __iter__(self) -> Iterator[Group]:
        """Give the groups, in an order that depends on nothing but their keys."""
        for number in range(self._parts):
            groups: dict[str, Group] = defaultdict(Group)
            for row in _rows(self._said.part(number)):
                groups[row["group"]].said.append(said_in(row))
            for row in _rows(self._feedback.part(number)):
                groups[row["group"]].feedback.append(row | _origin(row["attributes"]))
            for key in sorted(groups):
                yield groups[key]

    def reports(self, source: str, name: str) -> bool:
        """Whether a source's clients report such signals themselves, as far as their number tells."""
        return self.reported[source, name] > 0 and self.reported[source, name] >= REPORTING_SHARE * self.answers[source]

    def waiting_rows(self) -> Iterator[dict[str, Any]]:
        """Give the rows whose interaction is not there."""
        yield from _rows(self._lonely.part(0))

    def _read_interactions(self, snapshot: FeedbackSnapshot) -> None:
        for batch in delta_table.batches(snapshot.interactions, _INTERACTION):
            rows = pa.Table.from_batches([batch])
            rows = rows.filter(pc.not_equal(rows["source"], SIMULATED_SOURCE))
            if not rows.num_rows:
                continue
            self.interactions += rows.num_rows
            self.answers.update(rows["source"].to_pylist())
            self._see(rows)
            ids, talks = rows["interaction_id"].to_pylist(), rows["conversation_id"].to_pylist()
            keys = [group_key(*parts) for parts in zip(ids, talks, rows["messages"].to_pylist(), strict=True)]
            group = pa.array(keys, pa.string())
            self._said.add(rows.append_column(_GROUP, group), keys)
            self._of.add(pa.table({"interaction_id": rows["interaction_id"], "group": group}), ids)

    def _read_feedback(self, snapshot: FeedbackSnapshot) -> None:
        own = pa.array([SIMULATED_SOURCE, JOINED_SOURCE], pa.string())
        for batch in delta_table.batches(snapshot.feedback, _FEEDBACK):
            rows = pa.Table.from_batches([batch])
            rows = rows.filter(pc.invert(pc.is_in(rows["source"], own)))
            if not rows.num_rows:
                continue
            self._see(rows)
            self.rows.update(rows["kind"].to_pylist())
            events = rows.filter(pc.and_(pc.equal(rows["kind"], "implicit"), pc.not_equal(rows["annotator"], "code")))
            self.reported.update(zip(events["source"].to_pylist(), events["name"].to_pylist(), strict=True))
            maybe = pc.match_substring(rows["attributes"], '"conversation":')
            named = [
                _origin(text).get("conversation") if hit else None
                for hit, text in zip(maybe.to_pylist(), rows["attributes"].to_pylist(), strict=True)
            ]
            talk = pa.array([name is not None for name in named], pa.bool_())
            about = rows.filter(talk)
            keys = [f"id:{name}" for name in named if name is not None]
            if about.num_rows:
                self._feedback.add(about.append_column(_GROUP, pa.array(keys, pa.string())), keys)
            others = rows.filter(pc.invert(talk))
            if others.num_rows:
                self._by_id.add(others, others["interaction_id"].to_pylist())

    def _meet(self) -> None:
        """Give each feedback row the group of its interaction."""
        for number in range(self._parts):
            rows, of = self._by_id.part(number), self._of.part(number)
            if rows is None:
                continue
            group = (
                dict(zip(of["interaction_id"].to_pylist(), of["group"].to_pylist(), strict=True))
                if of is not None
                else {}
            )
            keys = [group.get(name) for name in rows["interaction_id"].to_pylist()]
            column = pa.array(keys, pa.string())
            there = pc.is_valid(column)
            lonely = rows.filter(pc.invert(there))
            if lonely.num_rows:
                self._lonely.add(lonely, [""] * lonely.num_rows)
            # what machines measured says nothing about conversations: it is joined by its id and goes no further
            automated = pc.equal(rows["kind"], "automated")
            self.measured += pc.sum(pc.and_(there, automated)).as_py() or 0
            said = pc.and_(there, pc.invert(automated))
            known = rows.append_column(_GROUP, column).filter(said)
            if known.num_rows:
                self._feedback.add(known, known["group"].to_pylist())

    def _see(self, rows: pa.Table) -> None:
        newest = pc.max(rows["timestamp"]).as_py()
        self.watermark = newest if self.watermark is None else max(self.watermark, newest)


def _rows(table: pa.Table | None) -> Iterator[dict[str, Any]]:
    if table is not None:
        yield from table.to_pylist()


def _origin(attributes: str) -> dict[str, Any]:
    try:
        intake = json.loads(attributes).get("intake", {})
    except (ValueError, AttributeError):  # rows of other hands
        return {}
    return {name: intake[name] for name in ("conversation", "turn", "anonymous") if name in intake}

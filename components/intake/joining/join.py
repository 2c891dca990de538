"""Join: late feedback to its interaction, and what next turns and silences say about answers.

What joining writes is a function of what people wrote: rows of other sources in the store, in whatever order and in
however many runs they came. Rows that newer data proved wrong (a user thought gone came back) are taken back. So a
killed and repeated step, or a log brought in piece by piece, ends in the same rows as one run over all of it.
"""

import hashlib
import os
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory, mkstemp
from typing import Any, TextIO

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.contracts.feedback import JOINED_SOURCE
from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.contracts.tables import FeedbackSnapshot
from flywheel.components.intake.errors import IntakeError
from flywheel.components.intake.joining import derived_rows, late
from flywheel.components.intake.joining.dialogues import Turn, assemble
from flywheel.components.intake.joining.groups import Group, Groups
from flywheel.components.intake.joining.mining import confidences, mine
from flywheel.components.store import delta_table, removal
from flywheel.components.store.tables import SCHEMAS

STEP = "join_feedback"
_BATCH = 20_000  # derived rows in one write
_LISTED = 20  # oldest waiting rows in the step's record; the file lists them all
_SPEAKING = frozenset({"rating", "correction", "comment", "implicit"})


@dataclass
class JoinSummary:
    """What joining did.

    Attributes:
        snapshot: Tables after joining.
        feedback: Feedback rows of people and machines (rows in).
        joined: Those whose answer is known, by kind.
        superseded: Ratings and corrections that a later one of the same user about the same answer replaces.
        waiting: Rows whose answer is not there, by reason.
        oldest: The rows that wait longest.
        signals: Mined signals by `name/rule`.
        unsure: Mined signals left out for their rule's confidence, by `name/rule`.
        agreement: By name, for sources whose clients report such signals themselves: reported, mined, and both.
        placed: Rows that named a conversation only and found their answer: sure, unsure.
        subjects: Users, by pseudonym.
        returning: Users with several conversations.
        new_rows: Derived rows that were not there before.
        removed: Derived rows taken back.
    """

    started_at: datetime
    snapshot: FeedbackSnapshot
    abandon_after_minutes: float
    min_confidence: float
    watermark: datetime | None = None
    interactions: int = 0
    conversations: int = 0
    feedback: int = 0
    joined: int = 0
    superseded: int = 0
    waiting: Counter[str] = field(default_factory=Counter)
    oldest: list[dict[str, Any]] = field(default_factory=list)
    signals: Counter[str] = field(default_factory=Counter)
    unsure: Counter[str] = field(default_factory=Counter)
    agreement: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    placed: Counter[str] = field(default_factory=Counter)
    subjects: int = 0
    returning: int = 0
    new_rows: int = 0
    removed: int = 0

    def record(self, run_id: str) -> StepRecord:
        """Make the step record; raises ValueError when a row got lost (conservation law)."""
        waiting = sum(self.waiting.values())
        by_name: Counter[str] = Counter()
        for rule, count in self.signals.items():
            by_name[rule.split("/")[0]] += count
        return StepRecord(
            run_id=run_id,
            step=STEP,
            started_at=self.started_at,
            finished_at=datetime.now(UTC),
            rows=RowCounts(
                rows_in=self.feedback,
                accepted=self.joined,
                duplicates=self.superseded,
                quarantined={"waiting": waiting} if waiting else {},
            ),
            outcome=self.words(),
            metrics={
                "feedback": float(self.feedback),
                "joined": float(self.joined),
                "superseded": float(self.superseded),
                "waiting": float(waiting),
                "conversations": float(self.conversations),
                "subjects": float(self.subjects),
                "subjects_returning": float(self.returning),
                "signals": float(sum(self.signals.values())),
                "signals_unsure": float(sum(self.unsure.values())),
                "signals_of_reporting_clients": float(sum(one["mined"] for one in self.agreement.values())),
                "placed": float(self.placed["sure"]),
                "placed_unsure": float(self.placed["unsure"]),
                "new_feedback": float(self.new_rows),
                "removed": float(self.removed),
            }
            | {f"signals_{name}": float(count) for name, count in sorted(by_name.items())},
            details={
                "snapshot": self.snapshot.model_dump(mode="json", by_alias=True),
                "watermark": self.watermark.isoformat() if self.watermark else "",
                "abandon_after_minutes": self.abandon_after_minutes,
                "min_confidence": self.min_confidence,
                "confidence_of_rules": dict(sorted(confidences().items())),
                "signals_by_rule": dict(sorted(self.signals.items())),
                "left_out_as_unsure": dict(sorted(self.unsure.items())),
                "agreement_with_clients": {name: dict(one) for name, one in sorted(self.agreement.items())},
                "waiting": dict(sorted(self.waiting.items())),
                "oldest_waiting": self.oldest,
                "error_rate": "each mined signal carries its rule's confidence: the one-sided 95 % lower bound of the "
                "rule's precision on labelled dialogues; no mined signal counts as a vote or a correction",
            },
        )

    def words(self) -> str:
        """Say in one line what happened."""
        return (
            f"{self.joined} of {self.feedback} feedback rows have their answer, {self.superseded} replaced by later "
            f"ones, {sum(self.waiting.values())} waiting; {sum(self.signals.values())} signals mined from "
            f"{self.conversations} conversations"
        )


def join(
    snapshot: FeedbackSnapshot,
    store: str,
    run_id: str,
    waiting: str | Path,
    abandon_after_minutes: float = 30.0,
    min_confidence: float = 0.5,
) -> JoinSummary:
    """Join feedback to answers and mine the conversations of a snapshot.

    Args:
        snapshot: Versions of the tables to read.
        store: Store to write the derived rows to.
        run_id: Run that writes.
        waiting: File for the rows whose answer is not there (JSON lines, with their age in hours by the log's time).
        abandon_after_minutes: A user who is silent for so long has left.
        min_confidence: Mined signals of rules with less are counted and not written, in [0, 1].

    Returns:
        Counts and the snapshot after joining.

    Raises:
        IntakeError: A parameter is out of range.
        StoreError: The store cannot be read or written.
    """
    if not 0 < abandon_after_minutes < 60 * 24 * 365:
        raise IntakeError(f"abandon_after_minutes must be between 0 and a year, got {abandon_after_minutes}")
    if not 0 <= min_confidence <= 1:
        raise IntakeError(f"min_confidence must be in [0, 1], got {min_confidence}")
    if not run_id:
        raise IntakeError("no run id given")
    summary = JoinSummary(datetime.now(UTC), snapshot, float(abandon_after_minutes), float(min_confidence))
    with TemporaryDirectory(prefix="joining-") as folder, _replacing(Path(waiting)) as listing:
        groups = Groups(snapshot, Path(folder) / "parts")
        writer = _Writer(store, run_id)
        _Joiner(summary, groups, writer, listing).run()
        summary.new_rows, summary.removed = writer.finish(snapshot)
    summary.snapshot = FeedbackSnapshot(
        interactions=snapshot.interactions, feedback=delta_table.latest(store, "feedback")
    )
    return summary


@contextmanager
def _replacing(path: Path) -> Iterator["_Listing"]:
    """A listing that is at `path` when it is whole, and not before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            yield _Listing(file)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


class _Joiner:
    """Takes the groups one by one."""

    def __init__(self, summary: JoinSummary, groups: Groups, writer: "_Writer", listing: "_Listing") -> None:
        self._summary, self._groups, self._writer, self._listing = summary, groups, writer, listing
        self._window = timedelta(minutes=summary.abandon_after_minutes)
        self._placing = late.Placing()
        self._unsure: list[tuple[dict[str, Any], Turn, int]] = []
        self._askers = array("Q")  # who asked, once a conversation: 8 bytes each

    def run(self) -> None:
        """Fill in the summary, and give the writer its rows."""
        summary, groups = self._summary, self._groups
        summary.watermark, summary.interactions = groups.watermark, groups.interactions
        summary.feedback = sum(groups.rows.values())
        for row in groups.waiting_rows():
            self._wait(row, "no_interaction")
        for group in groups:
            self._group(group)
        for row, turn, answers in self._unsure:
            confidence = self._placing.confidence(answers)
            if confidence < summary.min_confidence:
                self._wait(row, "several_answers")
                continue
            summary.placed["unsure"] += 1
            self._writer.add(derived_rows.of_placed(row, turn, confidence, answers, self._writer.run_id))
            summary.joined += 1
        summary.joined += groups.measured - summary.superseded
        _, conversations = np.unique(np.frombuffer(self._askers, np.uint64), return_counts=True)
        summary.subjects, summary.returning = len(conversations), int((conversations > 1).sum())
        summary.oldest = self._listing.oldest

    def _group(self, group: Group) -> None:
        dialogues = assemble(group.said)
        self._summary.conversations += len(dialogues)
        self._askers.extend(_number_of(dialogue[0].subject) for dialogue in dialogues)
        subject = {said.turn.turn_id: said.turn.subject for said in group.said}
        about: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for given in sorted(group.feedback, key=lambda row: (row["timestamp"], row["feedback_id"])):
            row = self._place(given, dialogues[0] if dialogues else []) if "conversation" in given else given
            if row is None:
                continue
            if row is given and row["kind"] in late.EXPLICIT and dialogues and len(dialogues[0]) > 1:
                for dialogue in dialogues:
                    self._placing.watch(dialogue, row["interaction_id"], row["timestamp"])
            if row.get("anonymous"):
                row["subject"] = subject.get(row["interaction_id"], row["subject"])
            about[row["interaction_id"]].append(row)
            self._summary.joined += 1
        self._summary.superseded += sum(map(late.superseded, about.values()))
        self._mine(dialogues, about)

    def _place(self, row: dict[str, Any], turns: list[Turn]) -> dict[str, Any] | None:
        found = late.place(turns, row.get("turn"), row["timestamp"])
        if found.turn is None:
            self._wait(row, found.reason)
            return None
        if found.answers > 1:
            self._unsure.append((row, found.turn, found.answers))
            return None
        self._summary.placed["sure"] += 1
        self._writer.add(derived_rows.of_placed(row, found.turn, 1.0, 1, self._writer.run_id))
        return row | {"interaction_id": found.turn.turn_id}

    def _mine(self, dialogues: list[list[Turn]], about: dict[str, list[dict[str, Any]]]) -> None:
        summary = self._summary
        people = {
            name: [row for row in rows if row["annotator"] in ("user", "human") and row["kind"] in _SPEAKING]
            for name, rows in about.items()
        }
        events = {(name, row["name"]) for name, rows in people.items() for row in rows if row["kind"] == "implicit"}
        spoken = {name for name, rows in people.items() if any(row["name"] != "abandon" for row in rows)}
        for _, name in events:
            summary.agreement[name]["reported"] += 1
        seen: set[str] = set()
        assert summary.watermark is not None
        for dialogue in dialogues:
            for signal in mine(dialogue, self._window, summary.watermark, spoken):
                rule = f"{signal.mined.name}/{signal.mined.rule}"
                confidence = confidences().get(rule, 0.0)
                row = derived_rows.of_signal(signal, confidence, self._writer.run_id)
                if row["feedback_id"] in seen:
                    continue  # a turn that several threads share
                seen.add(row["feedback_id"])
                if self._groups.reports(signal.turn.source, signal.mined.name):
                    # the client saw what its user did; words and silences only hint at it
                    summary.agreement[signal.mined.name]["mined"] += 1
                    summary.agreement[signal.mined.name]["both"] += (signal.turn.turn_id, signal.mined.name) in events
                elif (signal.turn.turn_id, signal.mined.name) in events:
                    summary.agreement[signal.mined.name]["both"] += 1
                    summary.agreement[signal.mined.name]["mined"] += 1
                elif confidence < summary.min_confidence:
                    summary.unsure[rule] += 1
                else:
                    summary.signals[rule] += 1
                    self._writer.add(row)

    def _wait(self, row: dict[str, Any], reason: str) -> None:
        self._summary.waiting[reason] += 1
        assert self._summary.watermark is not None
        age = (self._summary.watermark - row["timestamp"]).total_seconds() / 3600
        self._listing.add(row, reason, age)


def _number_of(subject: str) -> int:
    return int.from_bytes(hashlib.blake2b(subject.encode(), digest_size=8).digest())


class _Writer:
    """Appends derived rows in batches and knows all their ids (16 bytes each)."""

    def __init__(self, store: str, run_id: str) -> None:
        self.run_id = run_id
        self._store = store
        self._rows: list[dict[str, Any]] = []
        self._ids: list[bytes] = []
        self._new = 0

    def add(self, row: dict[str, Any]) -> None:
        """Take a row."""
        self._rows.append(row)
        self._ids.append(bytes.fromhex(row["feedback_id"]))
        if len(self._rows) >= _BATCH:
            self._flush()

    def finish(self, before: FeedbackSnapshot) -> tuple[int, int]:
        """Write what is left, then take back what earlier runs derived and this one did not.

        Returns:
            Rows written and rows removed.
        """
        self._flush()
        there: list[bytes] = []
        # of the version that was read: what a later run has derived since is not for this one to judge
        for batch in delta_table.batches(before.feedback, ["feedback_id", "source"]):
            own = batch.filter(pc.equal(batch["source"], JOINED_SOURCE))
            there += [bytes.fromhex(text) for text in own["feedback_id"].to_pylist()]
        stale = np.setdiff1d(np.array(there, dtype="S16"), np.array(self._ids, dtype="S16")).tolist()
        ids = [bytes(one).ljust(16, b"\0").hex() for one in stale]  # numpy cuts zeros off the end
        return self._new, removal.remove(self._store, "feedback", ids, JOINED_SOURCE) if ids else 0

    def _flush(self) -> None:
        if self._rows:
            rows = pa.Table.from_pylist(self._rows, schema=SCHEMAS["feedback"])
            # a batch is named by the version it is added to: rows once taken back may be written again
            version = delta_table.latest(self._store, "feedback").version
            self._new += delta_table.append(self._store, "feedback", rows, f"joining-{version}").inserted
            self._rows = []


class _Listing:
    """The file of waiting rows."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.oldest: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any], reason: str, age_hours: float) -> None:
        """Write a row."""
        entry = {
            "feedback_id": row["feedback_id"],
            "kind": row["kind"],
            "name": row["name"],
            "timestamp": row["timestamp"].isoformat(),
            "age_hours": round(age_hours, 3),
            "reason": reason,
        }
        if "conversation" in row:
            entry |= {name: row[name] for name in ("conversation", "turn") if name in row}
        else:
            entry["interaction_id"] = row["interaction_id"]
        self._file.write(orjson.dumps(entry).decode() + "\n")
        self.oldest = sorted([*self.oldest, entry], key=lambda one: (-one["age_hours"], one["feedback_id"]))[:_LISTED]

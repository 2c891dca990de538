"""The loop of intake: read in batches, refuse what is bad, leave out what is there, scrub, write.

Memory is bounded by the batch (rows and bytes), not by the log. Whatever is killed and repeated ends in the same
tables: ids come from content under the store's key, and every write is an idempotent append.
"""

import gc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import orjson
import pyarrow as pa

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.contracts.tables import FeedbackSnapshot
from flywheel.components.intake import pseudonyms, ratings, sources
from flywheel.components.intake.batches import read_batches
from flywheel.components.intake.draft import Draft, make_draft
from flywheel.components.intake.errors import IntakeError
from flywheel.components.intake.given_ids import safe_ids
from flywheel.components.intake.lines import DEFAULT_MAX_LINE_BYTES
from flywheel.components.intake.privacy.scrub import scrub_texts
from flywheel.components.intake.quarantine import Refusal
from flywheel.components.intake.raw_row import RawRow
from flywheel.components.intake.records import FORMATS, ReadRecord, Refused, read_record
from flywheel.components.intake.scrub_units import scrub_on
from flywheel.components.store import delta_table
from flywheel.components.store.engine import Engine, running
from flywheel.components.store.table_writer import TableWriter
from flywheel.components.store.tables import ID_COLUMN, SCHEMAS

STEP = "intake_feedback"

Table = Literal["interactions", "feedback", "quarantine"]  # what intake writes


@dataclass
class IntakeSummary:
    """What intake did; `record` makes the step record of it."""

    started_at: datetime
    snapshot: FeedbackSnapshot
    files: int = 0
    rows_in: int = 0
    accepted: int = 0
    duplicates: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    new_rows: Counter[str] = field(default_factory=Counter)  # table -> rows that were not there before
    formats: Counter[str] = field(default_factory=Counter)
    pii: Counter[str] = field(default_factory=Counter)
    first: datetime | None = None
    last: datetime | None = None

    def record(self, run_id: str) -> StepRecord:
        """Make the step record; raises ValueError when a row got lost (conservation law)."""
        rows = RowCounts(
            rows_in=self.rows_in,
            accepted=self.accepted,
            duplicates=self.duplicates,
            quarantined=dict(sorted(self.quarantined.items())),
        )
        metrics = {
            "rows_in": float(self.rows_in),
            "accepted": float(self.accepted),
            "duplicates": float(self.duplicates),
            "quarantined": float(sum(self.quarantined.values())),
            "files": float(self.files),
            "pii_replaced": float(sum(self.pii.values())),
        } | {f"new_{table}": float(count) for table, count in sorted(self.new_rows.items())}
        return StepRecord(
            run_id=run_id,
            step=STEP,
            started_at=self.started_at,
            finished_at=datetime.now(UTC),
            rows=rows,
            outcome=self.words(),
            metrics=metrics,
            details={
                "formats": dict(sorted(self.formats.items())),
                "pii": dict(sorted(self.pii.items())),
                "first": self.first.isoformat() if self.first else "",
                "last": self.last.isoformat() if self.last else "",
            },
        )

    def words(self) -> str:
        """Say in one line what happened."""
        if self.rows_in == 0:
            return "empty: the logs hold no rows"
        quarantined = sum(self.quarantined.values())
        return (
            f"{self.accepted} of {self.rows_in} rows accepted, {self.duplicates} duplicates, {quarantined} quarantined"
        )


def ingest(
    logs: str,
    store: str,
    run_id: str,
    log_format: str = "auto",
    *,
    max_line_bytes: int = DEFAULT_MAX_LINE_BYTES,
    batch_rows: int = 5000,
    now: datetime | None = None,
    rating_rule: str = "",
    engine: str = "native",
    ray_address: str = "",
) -> IntakeSummary:
    """Bring logs into the feedback store, anonymized.

    Rows in = accepted + duplicates + quarantined. A row is accepted when something of it is new, or was written by an
    earlier attempt of this very run; so a repeated attempt reports the same counts, and another run of the same input
    reports duplicates only and leaves the tables' versions as they are.

    Args:
        logs: File, folder, glob or object-store URI; plain, gzipped or zstandard.
        store: Local folder or object-store URI of the feedback store.
        run_id: Run that writes.
        log_format: "auto", or a name of `formats.registry.NAMES`.
        max_line_bytes: Longer lines are quarantined.
        batch_rows: Rows per write.
        now: Time of reading for the check of timestamps; None for the clock.
        rating_rule: Which named scores are ratings, as `ratings.parse` reads it; "" for the stated rule.
        engine: Where texts are scrubbed, which takes most of the time (`store.engine`): "native" or "ray".
        ray_address: For ray, the cluster's address; "": the environment's RAY_ADDRESS.

    Returns:
        Counts and the snapshot of the tables' versions.

    Raises:
        IntakeError: Logs, format or key cannot be used; nothing to do with single rows.
        StoreError: The store cannot be read or written.
        EngineError: The engine cannot be used.
    """
    if log_format not in FORMATS:
        raise IntakeError(f"unknown log format {log_format!r}; use one of {', '.join(FORMATS)}")
    if not run_id:
        raise IntakeError("no run id given")
    rule = ratings.parse(rating_rule)
    started_at = datetime.now(UTC)
    found = sources.resolve(logs)
    summary = IntakeSummary(started_at, _snapshot(store))
    summary.files = len(found)
    with running(engine, ray_address) as on, collection_paused() as collect:
        writer = _Writer(store, run_id, log_format, now or summary.started_at, summary, rule, on)
        for batch in read_batches(found, log_format, max_line_bytes, batch_rows):
            writer.write(batch)
            batch.clear()
            collect()
    summary.snapshot = _snapshot(store)
    return summary


def _snapshot(store: str) -> FeedbackSnapshot:
    return FeedbackSnapshot(
        interactions=delta_table.latest(store, "interactions"), feedback=delta_table.latest(store, "feedback")
    )


@contextmanager
def collection_paused() -> Iterator[Callable[[], object]]:
    """Keep Python's search for cycles away from the records of a batch: they are trees, and looking takes most time.

    Yields:
        A function that searches what was made since, for between the batches.
    """
    if not gc.isenabled():
        yield lambda: None
        return
    gc.freeze()
    gc.disable()
    try:
        yield lambda: gc.collect(0)  # what survives is not looked at again
    finally:
        gc.enable()
        gc.unfreeze()


class _Writer:
    """Writes batches; holds nothing between two batches but the counts."""

    def __init__(
        self,
        store: str,
        run_id: str,
        log_format: str,
        now: datetime,
        summary: IntakeSummary,
        rule: ratings.RatingRule,
        on: Engine,
    ) -> None:
        self._run_id = run_id
        self._format = log_format
        self._now = now
        self._rule = rule
        self._summary = summary
        self._engine = on
        self._pseudonyms = pseudonyms.for_store(store)
        self._tables: dict[Table, TableWriter] = {table: TableWriter(store, table) for table in get_args(Table)}
        self._labels: dict[str, str] = {}  # label of the current file -> scrubbed

    def write(self, batch: list[RawRow]) -> None:
        """Bring one batch into the tables."""
        drafts, refusals = self._read(batch)
        there = self._there("interactions", {draft.interaction_id for draft in drafts if draft.content})
        said = self._there("feedback", {signal.feedback_id for draft in drafts for signal in draft.signals})
        accepted: list[Draft] = []
        for draft in drafts:
            verdict = self._verdict(draft, there, said)
            if verdict == "conflict":
                detail = f"interaction {draft.interaction_id} is there with other content; the first one stays"
                refusals.append(Refusal(draft.raw, "conflicting_duplicate", detail))
                continue
            self._seen(draft)
            if verdict == "duplicate":
                self._summary.duplicates += 1
                continue
            accepted.append(draft)
        self._summary.rows_in += len(batch)
        self._summary.accepted += len(accepted)
        self._summary.quarantined.update(refusal.reason for refusal in refusals)
        self._append(batch[0], accepted, refusals)

    def _read(self, batch: list[RawRow]) -> tuple[list[Draft], list[Refusal]]:
        good: list[tuple[RawRow, ReadRecord]] = []
        refusals: list[Refusal] = []
        for raw in batch:
            if raw.value is None:
                refusals.append(Refusal(raw, raw.reason, raw.detail))
                continue
            try:
                good.append(
                    (raw, read_record(raw.value, raw.shape or self._format, raw.modified, self._now, self._rule))
                )
            except Refused as refused:
                detail = refused.detail
                if refused.reason == "no_consent":
                    detail += self._id_words(raw.value)
                refusals.append(Refusal(raw, refused.reason, detail))
        given = {text for _, read in good for text in (read.record.interaction, read.record.conversation) if text}
        safe = safe_ids(given, self._pseudonyms)
        return [make_draft(raw, read, safe, self._pseudonyms) for raw, read in good], refusals

    def _id_words(self, value: dict[str, Any]) -> str:
        names = ("interaction", "interaction_id", "id")
        given = next((value[name] for name in names if isinstance(value.get(name), str | int)), None)
        return "" if given is None else f"; interaction {safe_ids([str(given)], self._pseudonyms)[str(given)]}"

    def _there(self, table: Table, ids: Iterable[str]) -> dict[str, "_Written"]:
        columns = [ID_COLUMN[table], "run_id", "attributes"]
        found = self._tables[table].lookup(list(ids), columns)
        rows = zip(*(found[name].to_pylist() for name in columns), strict=True)
        return {name: _Written.of(run_id == self._run_id, attributes) for name, run_id, attributes in rows}

    def _verdict(
        self, draft: Draft, there: dict[str, "_Written"], said: dict[str, "_Written"]
    ) -> Literal["accepted", "duplicate", "conflict"]:
        mine = _Written(True, self._scrubbed_label(draft.raw.file), draft.raw.line, draft.content, draft.raw.part)
        new = False
        if draft.content:
            known = there.setdefault(draft.interaction_id, mine)
            if known.content != draft.content:
                return "conflict"
            new = known.same_row(mine)
        for signal in draft.signals:
            new |= said.setdefault(signal.feedback_id, mine).same_row(mine)
        return "accepted" if new else "duplicate"

    def _scrubbed_label(self, label: str) -> str:
        if label not in self._labels:
            self._labels = {label: scrub_texts([label]).texts[0]}
        return self._labels[label]

    def _seen(self, draft: Draft) -> None:
        summary, moment = self._summary, draft.record.timestamp
        summary.formats[draft.read.shape] += 1
        summary.first = moment if summary.first is None else min(summary.first, moment)
        summary.last = moment if summary.last is None else max(summary.last, moment)

    def _append(self, head: RawRow, drafts: list[Draft], refusals: list[Refusal]) -> None:
        texts: list[str] = []
        groups: list[int] = []
        keys: list[bytes] = []
        ends: list[int] = []
        for number, item in enumerate((*drafts, *refusals)):
            mine = item.texts()
            texts += mine
            groups += [number] * len(mine)
            keys += [item.placeholder_key(self._pseudonyms) if isinstance(item, Draft) else b""] * len(mine)
            ends.append(len(texts))
        result = scrub_on(self._engine, texts, groups, keys)
        self._summary.pii.update(result.counts)
        parts = [iter(result.texts[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
        rows: dict[Table, list[dict[str, Any]]] = {
            "interactions": [],
            "feedback": [],
            "quarantine": [],
        }
        for draft, part in zip(drafts, parts, strict=False):
            made = draft.rows(self._run_id, part, self._scrubbed_label(draft.raw.file))
            rows["interactions"] += [made.interaction] if made.interaction else []
            rows["feedback"] += made.feedback
        for refusal, part in zip(refusals, parts[len(drafts) :], strict=True):
            rows["quarantine"].append(refusal.row(self._run_id, part, self._pseudonyms))
        batch = self._pseudonyms.of("batch", f"{head.file}:{head.line}" + (f":{head.part}" if head.part else ""))
        for table, wanted in rows.items():
            if wanted:
                done = self._tables[table].append(
                    pa.Table.from_pylist(wanted, schema=SCHEMAS[table]), f"intake-{batch}"
                )
                self._summary.new_rows[table] += done.inserted


@dataclass(slots=True)  # not frozen, as RawRow
class _Written:
    """A row that is in a table (or will be, from an earlier line of the batch): by whom, from where, saying what."""

    this_run: bool
    file: str
    line: int
    content: str
    part: int = 0

    @classmethod
    def of(cls, this_run: bool, attributes: str) -> "_Written":
        origin = orjson.loads(attributes).get("intake", {})
        return cls(
            this_run, origin.get("file", ""), origin.get("line", 0), origin.get("content", ""), origin.get("part", 0)
        )

    def same_row(self, other: "_Written") -> bool:
        """Whether both come from the same line of the same file in the same run."""
        return (self.this_run, self.file, self.line, self.part) == (other.this_run, other.file, other.line, other.part)

"""Bring batches of rows into the tables: read, recognise and scrub part by part, and write each batch at once.

What is made of a part is gone before the next one comes: of a batch only the tables to write are in memory.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import accumulate, chain, pairwise
from typing import Any, Literal, get_args, overload

import numpy as np
import pyarrow as pa

from flywheel.components.contracts.tables import FeedbackSnapshot
from flywheel.components.intake import plain_row, pseudonyms, ratings, table_rows, timestamps
from flywheel.components.intake.draft import Draft
from flywheel.components.intake.given_ids import safe_ids
from flywheel.components.intake.plain_draft import make_plain_draft
from flywheel.components.intake.plain_row import PlainRow
from flywheel.components.intake.privacy.scrub import scrub_texts
from flywheel.components.intake.pseudonyms import Pseudonymizer
from flywheel.components.intake.quarantine import Refusal
from flywheel.components.intake.raw_row import RawRow
from flywheel.components.intake.recognition import Recognition
from flywheel.components.intake.record_draft import make_draft
from flywheel.components.intake.records import ReadRecord, Refused, read_odd_record
from flywheel.components.intake.scrub_units import scrub_on
from flywheel.components.intake.summary import IntakeSummary
from flywheel.components.intake.waiting_rows import WaitingRows
from flywheel.components.store.engine import Engine
from flywheel.components.store.table_writer import TableWriter
from flywheel.components.store.tables import ID_COLUMN, SCHEMAS

Table = Literal["interactions", "feedback", "quarantine"]  # what intake writes


class BatchWriter:
    """Writes batches; holds nothing between two batches but the counts and the index of what is there.

    `write` takes a part of a batch, `flush` ends the batch.

    Args:
        store: Local folder or object-store URI.
        run_id: Run that writes.
        log_format: A name of `records.FORMATS`.
        now: Time of reading.
        rule: Which named scores are ratings.
        on: Where texts are scrubbed.

    Attributes:
        summary: Counts what happens.

    Raises:
        IntakeError: There is no usable key.
        StoreError: A table cannot be opened or created.
    """

    def __init__(
        self,
        store: str,
        run_id: str,
        log_format: str,
        now: datetime,
        rule: ratings.RatingRule,
        on: Engine,
    ) -> None:
        self._run_id = run_id
        self._format = log_format
        self._now = now
        self._latest = timestamps.latest(now)
        self._rule = rule
        self._engine = on
        self._pseudonyms = pseudonyms.for_store(store)
        self._tables: dict[Table, TableWriter] = {table: TableWriter(store, table) for table in get_args(Table)}
        self.summary = IntakeSummary(datetime.now(UTC), self.snapshot())
        self._waiting: dict[Table, WaitingRows] = {table: WaitingRows(table) for table in self._tables}
        self._batch = ""  # name of the batch that waits
        self._labels: dict[str, str] = {}  # label of the current file -> scrubbed

    def write(self, part: list[RawRow]) -> None:
        """Make the rows of a part of a batch, which wait for the rest of it."""
        if not part:
            return
        head = part[0]
        place = f"{head.file}:{head.line}" + (f":{head.part}" if head.part else "")
        self._batch = self._batch or self._pseudonyms.of("batch", place)
        drafts, refusals = self._read(part)
        ids = [draft.interaction_id for draft in drafts if draft.content]
        signals = [signal.feedback_id for draft in drafts for signal in draft.signals]
        new = self._all_new("interactions", ids), self._all_new("feedback", signals)  # both note what they are asked
        if all(new) and len(ids) == len(drafts):
            seen = accepted = drafts  # all rows are interactions that nobody has seen: most parts
        else:
            there = self._there("interactions", ids), self._there("feedback", signals)
            seen, accepted = self._recognise(drafts, Recognition(*there, self._run_id, self._scrubbed_label), refusals)
        self._count(len(part), seen, accepted, refusals)
        self._make(accepted, refusals)

    def flush(self) -> None:
        """Write the batch."""
        for table, waiting in self._waiting.items():
            rows = waiting.take()
            if rows.num_rows:
                done = self._tables[table].append(rows, f"intake-{self._batch}")
                self.summary.new_rows[table] += done.inserted
        self._batch = ""

    def _recognise(
        self, drafts: list[Draft], known: Recognition, refusals: list[Refusal]
    ) -> tuple[list[Draft], list[Draft]]:
        """Return what is no conflict, and what of that is new; the conflicts join the refusals."""
        seen: list[Draft] = []
        accepted: list[Draft] = []
        for draft in drafts:
            verdict = known.verdict(draft)
            if verdict == "conflict":
                detail = f"interaction {draft.interaction_id} is there with other content; the first one stays"
                refusals.append(Refusal(draft.raw, "conflicting_duplicate", detail))
                continue
            seen.append(draft)
            if verdict == "accepted":
                accepted.append(draft)
        return seen, accepted

    def snapshot(self) -> FeedbackSnapshot:
        """Return the newest versions of the tables."""
        return FeedbackSnapshot(
            interactions=self._tables["interactions"].newest(), feedback=self._tables["feedback"].newest()
        )

    def _read(self, part: list[RawRow]) -> tuple[list[Draft], list[Refusal]]:
        good: list[tuple[RawRow, PlainRow | ReadRecord]] = []
        given: list[str | None] = []
        refusals: list[Refusal] = []
        for raw in part:
            plain, shape = raw.plain, raw.shape or self._format
            if plain is None and raw.value is not None and shape == "feedback":
                plain = plain_row.read(raw.value, self._latest)
            if plain is not None:
                good.append((raw, plain))
                given += (plain.interaction, plain.conversation)
                continue
            if raw.value is None:
                refusals.append(Refusal(raw, raw.reason, raw.detail))
                continue
            try:
                read = read_odd_record(raw.value, shape, raw.modified, self._now, self._rule)
            except Refused as refused:
                detail = refused.detail + (self._id_words(raw.value) if refused.reason == "no_consent" else "")
                refusals.append(Refusal(raw, refused.reason, detail))
                continue
            good.append((raw, read))
            given += (read.record.interaction, read.record.conversation)
        safe, keys = safe_ids(filter(None, given), self._pseudonyms), self._pseudonyms
        return [
            make_plain_draft(raw, read, safe, keys) if isinstance(read, PlainRow) else make_draft(raw, read, safe, keys)
            for raw, read in good
        ], refusals

    def _id_words(self, value: dict[str, Any]) -> str:
        names = ("interaction", "interaction_id", "id")
        given = next((value[name] for name in names if isinstance(value.get(name), str | int)), None)
        return "" if given is None else f"; interaction {safe_ids([str(given)], self._pseudonyms)[str(given)]}"

    def _all_new(self, table: Table, ids: list[str]) -> bool:
        return self._waiting[table].expect(ids) and not self._tables[table].may_hold_any(ids)

    def _there(self, table: Table, ids: list[str]) -> pa.Table:
        columns = [ID_COLUMN[table], "run_id", "attributes"]
        return pa.concat_tables(held[table].lookup(ids, columns) for held in (self._tables, self._waiting))

    def _scrubbed_label(self, label: str) -> str:
        if label not in self._labels:
            self._labels = {label: scrub_texts([label]).texts[0]}
        return self._labels[label]

    def _count(self, rows_in: int, seen: list[Draft], accepted: list[Draft], refusals: list[Refusal]) -> None:
        summary, moments = self.summary, [draft.moment for draft in seen]
        summary.rows_in += rows_in
        summary.accepted += len(accepted)
        summary.duplicates += len(seen) - len(accepted)
        summary.quarantined.update(refusal.reason for refusal in refusals)
        summary.formats.update(draft.shape for draft in seen)
        if moments:
            summary.first = min((summary.first or moments[0], *moments))
            summary.last = max((summary.last or moments[0], *moments))

    def _make(self, drafts: list[Draft], refusals: list[Refusal]) -> None:
        items = [*drafts, *refusals]
        texts_of = [item.texts() for item in items]
        texts = list(chain.from_iterable(texts_of))
        groups = np.repeat(np.arange(len(items)), list(map(len, texts_of))).tolist()
        result = scrub_on(self._engine, texts, groups, _PlaceholderKeys(groups, items, self._pseudonyms))
        self.summary.pii.update(result.counts)
        ends = accumulate(map(len, texts_of), initial=0)
        parts = [result.texts[start:end] for start, end in pairwise(ends)]
        made = [
            draft.rows(self._run_id, part, self._scrubbed_label(draft.raw.file))
            for draft, part in zip(drafts, parts, strict=False)
        ]
        quarantine = [
            refusal.row(self._run_id, iter(part), self._pseudonyms)
            for refusal, part in zip(refusals, parts[len(drafts) :], strict=True)
        ]
        self._waiting["interactions"].add(table_rows.interactions(made))
        self._waiting["feedback"].add(table_rows.feedback(made))
        self._waiting["quarantine"].add(pa.Table.from_pylist(quarantine, schema=SCHEMAS["quarantine"]))


class _PlaceholderKeys(Sequence[bytes]):
    """Key of the placeholders of each text, made when it is asked for: few texts hold anything to replace."""

    def __init__(self, groups: list[int], items: list[Draft | Refusal], keys: Pseudonymizer) -> None:
        self._groups = groups
        self._items = items
        self._pseudonyms = keys
        self._made: dict[str, bytes] = {}  # by conversation

    def __len__(self) -> int:
        return len(self._groups)

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...

    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        item = self._items[self._groups[index]]
        if not (isinstance(item, Draft) and item.named_conversation):
            return b""
        key = self._made.get(item.conversation_id)
        if key is None:
            key = self._made[item.conversation_id] = item.placeholder_key(self._pseudonyms)
        return key

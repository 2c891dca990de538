"""Take in what people answered: checked, scrubbed, under pseudonyms, once."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from flywheel.components.contracts.tables import TableReference
from flywheel.components.curation.review.decisions import REQUESTED, WITHDRAWN
from flywheel.components.curation.review.given import Given, Invalid, checked, review_id
from flywheel.components.intake.privacy.scrub import scrub_texts
from flywheel.components.intake.pseudonyms import Pseudonymizer, for_store
from flywheel.components.store import delta_table
from flywheel.components.store.tables import SCHEMAS, row_id

Row = dict[str, Any]
_SHOWN = 20  # refused answers that are named to the person who imports


@dataclass
class Imported:
    """What an import did: `given` = new + already_there + sum(quarantined).

    Attributes:
        reviews: Version of the table that holds the answers.
        given: Answers in the queue.
        new: Of those, not in the store before.
        already_there: In the store already, or the same twice.
        withdrawn: Reviews whose annotation is gone from the queue.
        quarantined: Refused answers by reason.
        first_faults: Place, reason and words of the first refused ones.
    """

    reviews: TableReference
    given: int
    new: int
    already_there: int
    withdrawn: int
    quarantined: dict[str, int]
    first_faults: list[str] = field(default_factory=list)


def take_in(
    store: str,
    run_id: str,
    answers: Sequence[Given],
    source: str,
    label: str,
    present: frozenset[str] | None = None,
) -> Imported:
    """Write answers into the table `reviews`, and those that cannot be used into `quarantine`.

    The same answer again changes nothing; another answer of the same reviewer takes the place of the earlier one.

    Args:
        store: URI of the feedback store.
        run_id: Run, for the quarantine.
        answers: What the queue gave.
        source: "csv" or "label-studio".
        label: File or project, for the quarantine.
        present: Candidates that the queue still knows. A review from this source of one of them that the queue no
            longer holds was deleted there, and is withdrawn. None: the queue forgets nothing.

    Raises:
        StoreError: The store cannot be used, or has no candidates.
        IntakeError: The key of the pseudonyms is missing.
    """
    now = datetime.now(UTC)
    keys = for_store(store)
    ids = sorted({answer.candidate_id for answer in answers})
    known: dict[str, Row] = {}
    if delta_table.exists(store, "candidates"):
        table = delta_table.lookup(
            delta_table.latest(store, "candidates"), ids, ["candidate_id", "category", "correction"]
        )
        known = {row["candidate_id"]: row for row in table.to_pylist()}
    before = [row for row in _reviews(store) if row["verdict"] != REQUESTED]
    good, refused = _sorted_out(answers, known, keys)
    rows, repeated, clashing = _new_rows(good, before, source, now)
    refused += clashing
    gone = [] if present is None else _withdrawn(before, good, source, present, now)
    added = pa.Table.from_pylist([*rows, *gone], SCHEMAS["reviews"])
    written = delta_table.append(store, "reviews", added, batch=f"reviews-{source}")
    if refused:
        bad = pa.Table.from_pylist(_quarantined(refused, run_id, label, keys), SCHEMAS["quarantine"])
        delta_table.append(store, "quarantine", bad, batch=f"reviews-{source}")
    return Imported(
        reviews=written.reference,
        given=len(answers),
        new=len(rows),
        already_there=repeated,
        withdrawn=len(gone),
        quarantined=dict(sorted(Counter(fault.reason for _, fault in refused).items())),
        first_faults=[f"{label} line {answer.place}: {fault.reason}: {fault}" for answer, fault in refused[:_SHOWN]],
    )


def _reviews(store: str) -> list[Row]:
    if not delta_table.exists(store, "reviews"):
        return []
    rows = delta_table.read(delta_table.latest(store, "reviews")).to_pylist()
    return sorted(rows, key=lambda row: (row["timestamp"], row["review_id"]))


def _sorted_out(
    answers: Sequence[Given], known: Mapping[str, Row], keys: Pseudonymizer
) -> tuple[list[tuple[Given, Row]], list[tuple[Given, Invalid]]]:
    """Answers that can be used, scrubbed and with a pseudonym; and the others with what is wrong."""
    good: list[tuple[Given, Row]] = []
    refused: list[tuple[Given, Invalid]] = []
    for answer in answers:
        try:
            row = checked(answer, known)
        except Invalid as fault:
            refused.append((answer, fault))
        else:
            good.append((answer, row | {"reviewer": keys.of("reviewer", answer.reviewer.strip().casefold())}))
    texts = [text for _, row in good for text in (row["correction"] or "", row["note"])]
    scrubbed = scrub_texts(texts, [index // 2 for index in range(len(texts))]).texts
    for index, (_, row) in enumerate(good):
        row["correction"] = scrubbed[2 * index] or None
        row["note"] = scrubbed[2 * index + 1]
    return good, refused


def _new_rows(
    good: Sequence[tuple[Given, Row]], before: Sequence[Row], source: str, now: datetime
) -> tuple[list[Row], int, list[tuple[Given, Invalid]]]:
    """Rows to add; how many answers are there already; and those that contradict an earlier one of the same file."""
    said: dict[tuple[str, str], list[Row]] = {}
    ids = {row["review_id"] for row in before}
    for row in before:
        said.setdefault((row["candidate_id"], row["reviewer"]), []).append(row)
    rows: list[Row] = []
    in_file: dict[tuple[str, str], Row] = {}
    repeated = 0
    clashing: list[tuple[Given, Invalid]] = []
    for answer, row in sorted(good, key=lambda one: (one[0].at or now, one[0].place)):
        key = (row["candidate_id"], row["reviewer"])
        new = {**row, "source": source, "timestamp": answer.at or now}
        earlier = said.get(key, [])
        if answer.at is None:
            if key in in_file and not _same(in_file[key], new):
                clashing.append((answer, Invalid("conflicting_answer", "the same reviewer answered otherwise above")))
                continue
            new["review_id"] = review_id(new, len(earlier))
            known = key in in_file or bool(earlier and _same(earlier[-1], new))
        else:
            new["review_id"] = review_id(new, answer.at.isoformat())
            known = new["review_id"] in ids
        in_file[key] = new
        ids.add(new["review_id"])
        if known:
            repeated += 1
        else:
            rows.append(new)
    return rows, repeated, clashing


def _same(one: Row, other: Row) -> bool:
    return all(one[name] == other[name] for name in ("verdict", "category", "correction", "note"))


def _withdrawn(
    before: Sequence[Row], good: Sequence[tuple[Given, Row]], source: str, present: frozenset[str], now: datetime
) -> list[Row]:
    """Rows that take back reviews whose annotation was deleted; a task that is gone itself takes nothing back."""
    still = {(row["candidate_id"], row["reviewer"]) for _, row in good}
    newest = {(row["candidate_id"], row["reviewer"]): row for row in before if row["source"] == source}
    return [
        row
        | {
            "review_id": row_id("withdrawn", row["review_id"]),
            "verdict": WITHDRAWN,
            "timestamp": now,
            "note": "",
            "correction": None,
        }
        for key, row in sorted(newest.items())
        if row["verdict"] != WITHDRAWN and key[0] in present and key not in still
    ]


def _quarantined(refused: Sequence[tuple[Given, Invalid]], run_id: str, label: str, keys: Pseudonymizer) -> list[Row]:
    """Refused answers as rows of `quarantine`: scrubbed, the reviewer left out."""
    texts: list[str] = []
    for answer, fault in refused:
        kept = {name: value for name, value in answer.raw.items() if name != "reviewer"}
        texts += [label, str(fault), json.dumps(kept, ensure_ascii=False, default=str)]
    scrubbed = scrub_texts(texts, [index // 3 for index in range(len(texts))]).texts
    rows = []
    for index, (answer, fault) in enumerate(refused):
        file, detail, row = scrubbed[3 * index : 3 * index + 3]
        identity = json.dumps([label, answer.place, fault.reason, dict(answer.raw)], ensure_ascii=False, default=str)
        rows.append(
            {
                "quarantine_id": keys.of("quarantine", identity),
                "run_id": run_id,
                "source": file,
                "line": answer.place,
                "reason": fault.reason,
                "detail": detail,
                "row": row,
            }
        )
    return rows

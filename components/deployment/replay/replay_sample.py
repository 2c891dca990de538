"""The part of the log that is asked again before a canary: recent, consented turns with what their users did.

Users are drawn, not turns (the user is the unit of every later number), and of each user at most a few turns. Only
what people did counts: rows that a canary's simulated users wrote are left out (`store.observed`).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.contracts.tables import TableReference
from flywheel.components.curation.texts.normal_form import normal_form, question_form
from flywheel.components.store import delta_table, observed

TURNS_PER_USER = 2
LEAST_USERS = 30
MOST_ROWS = 50_000  # of the log that the reaction model is fitted on; beyond it whole users are left out by hash
_DISSATISFIED = {"rephrase", "regenerate", "abandon"}  # as `Turn.dissatisfied`


@dataclass(frozen=True)
class LoggedTurn:
    """One logged interaction and how its user took it.

    The signs are those of a canary's `Turn`. `question` and `answer` are normal forms, by which turns are compared.
    """

    interaction: str
    subject: str
    messages: tuple[dict[str, str], ...]
    response: str
    question: str
    answer: str
    at: datetime
    complained: bool = False  # thumbs down or a correction
    dissatisfied: bool = False  # asked again, in other words, or left
    approved: bool = False  # a thumb, and not down
    copied: bool = False
    liked: bool = False  # thumbs up or copied: a word for this answer
    correction: str = ""  # normal form of an accepted correction, "" when the user wrote none

    @property
    def bad(self) -> bool:
        """Whether the user showed dissatisfaction in any way."""
        return self.complained or self.dissatisfied


@dataclass(frozen=True)
class ReplayLog:
    """The recent log, and the sample of it that both models answer again."""

    turns: tuple[LoggedTurn, ...]
    sample: tuple[LoggedTurn, ...]
    interactions: TableReference | None = None
    feedback: TableReference | None = None
    notes: tuple[str, ...] = ()

    @property
    def users(self) -> int:
        """Users of the sample."""
        return len({turn.subject for turn in self.sample})


@dataclass
class _Signs:
    complained: bool = False
    dissatisfied: bool = False
    approved: bool = False
    copied: bool = False
    liked: bool = False
    corrections: list[str] = field(default_factory=list)


def read_log(store: str, size: int, seed: int, recent_days: float) -> ReplayLog:
    """Read the recent log and draw the sample.

    Args:
        store: Feedback store; an empty one gives an empty log.
        size: Most prompts to replay.
        seed: Seed of the draw.
        recent_days: Days before the log's newest turn that count; a log with fewer than 30 users in them counts whole.

    Returns:
        The log, oldest turn first, and the sample.

    Raises:
        ValueError: Size or days are not positive.
        StoreError: The store cannot be read.
    """
    if size < 1 or not recent_days > 0:
        raise ValueError(f"replay needs a positive size and positive days, got size {size} and {recent_days} days")
    if not delta_table.exists(store, "interactions"):
        return ReplayLog((), (), notes=("the store holds no interactions",))
    table, words = delta_table.latest(store, "interactions"), delta_table.latest(store, "feedback")
    rows = _recent(table, recent_days)
    notes = []
    if pc.count_distinct(rows["subject"]).as_py() < LEAST_USERS:
        notes.append(f"fewer than {LEAST_USERS} users in the last {recent_days:g} days: the whole log was used")
        rows = _recent(table, None)
    rows, left_out = _bounded(rows)
    if left_out:
        notes.append(f"{left_out:,} turns of the log left out: at most {MOST_ROWS:,} are used, by whole users")
    turns = _turns(rows, _signs(words, rows["interaction_id"]), _accepted(store))
    return ReplayLog(turns, draw(turns, size, seed), table, words, tuple(notes))


def draw(turns: Sequence[LoggedTurn], size: int, seed: int) -> tuple[LoggedTurn, ...]:
    """Draw users in a random order, and of each at most `TURNS_PER_USER` turns, until `size` turns are there.

    Args:
        turns: The log.
        size: Most turns.
        seed: Seed; the same log and seed give the same sample.

    Returns:
        The sample, ordered by user and turn.
    """
    own: dict[str, list[LoggedTurn]] = {}
    for turn in sorted(turns, key=lambda one: (one.subject, one.interaction)):
        own.setdefault(turn.subject, []).append(turn)
    users, random = list(own), Random(seed)
    random.shuffle(users)
    chosen: list[LoggedTurn] = []
    for user in users:
        part = random.sample(own[user], min(TURNS_PER_USER, len(own[user])))
        if len(chosen) + len(part) > size and chosen:
            break
        chosen += part
    return tuple(sorted(chosen, key=lambda one: (one.subject, one.interaction)))


def _recent(table: TableReference, days: float | None) -> pa.Table:
    columns = ["interaction_id", "subject", "timestamp", "messages", "response"]
    where = pc.field("consent")
    if days is not None:
        times = observed.read(table, ["timestamp"], where)["timestamp"]
        if len(times):
            where = where & (pc.field("timestamp") > pc.max(times).as_py() - timedelta(days=days))
    return observed.read(table, columns, where).sort_by([("timestamp", "ascending"), ("interaction_id", "ascending")])


def _bounded(rows: pa.Table) -> tuple[pa.Table, int]:
    if rows.num_rows <= MOST_ROWS:
        return rows, 0
    counts = pc.value_counts(rows["subject"]).to_pylist()
    counts.sort(key=lambda one: hashlib.blake2b(one["values"].encode(), digest_size=8).digest())
    kept: list[str] = []
    total = 0
    for one in counts:
        total += one["counts"]
        if total > MOST_ROWS and kept:
            break
        kept.append(one["values"])
    part = rows.filter(pc.is_in(rows["subject"], pa.array(kept)))
    return part, rows.num_rows - part.num_rows


def _signs(table: TableReference, interactions: pa.ChunkedArray) -> dict[str, _Signs]:
    said = observed.read(
        table,
        ["interaction_id", "kind", "annotator", "name", "value", "text"],
        pc.field("kind").isin(["rating", "correction", "implicit"]) & pc.field("annotator").isin(["user", "human"]),
    )
    found: dict[str, _Signs] = {}
    for row in said.filter(pc.is_in(said["interaction_id"], interactions.combine_chunks())).to_pylist():
        signs = found.setdefault(row["interaction_id"], _Signs())
        value, name = row["value"], row["name"]
        if row["kind"] == "rating" and value is not None:
            signs.complained |= value < 0
            signs.approved |= value >= 0
            signs.liked |= value > 0
        elif row["kind"] == "correction":
            signs.complained = True
            signs.corrections.append(normal_form(row["text"] or ""))
        elif row["kind"] == "implicit":
            signs.dissatisfied |= name in _DISSATISFIED
            signs.copied |= name == "copy"
            signs.liked |= name == "copy"
    return found


def _accepted(store: str) -> set[tuple[str, str]]:
    """Pairs (answer, correction) that curation accepted in any run: what a correction must be to count as right."""
    if not delta_table.exists(store, "candidates"):
        return set()
    rows = delta_table.read(
        delta_table.latest(store, "candidates"), ["response", "correction"], pc.field("route") == "accept"
    )
    return {(normal_form(row["response"]), normal_form(row["correction"])) for row in rows.to_pylist()}


def _turns(rows: pa.Table, signs: Mapping[str, _Signs], accepted: set[tuple[str, str]]) -> tuple[LoggedTurn, ...]:
    turns = []
    for row in rows.to_pylist():
        messages = tuple({"role": one["role"], "content": one["content"]} for one in orjson.loads(row["messages"]))
        if not any(message["role"] == "user" for message in messages):
            continue
        own, answer = signs.get(row["interaction_id"], _Signs()), normal_form(row["response"])
        turns.append(
            LoggedTurn(
                interaction=row["interaction_id"],
                subject=row["subject"],
                messages=messages,
                response=row["response"],
                question=_question(messages),
                answer=answer,
                at=row["timestamp"],
                complained=own.complained,
                dissatisfied=own.dissatisfied,
                approved=own.approved,
                copied=own.copied,
                liked=own.liked,
                correction=next((text for text in own.corrections if (answer, text) in accepted), ""),
            )
        )
    return tuple(turns)


def _question(messages: Sequence[Mapping[str, str]]) -> str:
    """Everything but the answers given before: the same last words after another story are another question."""
    return "\n".join(question_form(one["content"]) for one in messages if one["role"] != "assistant")

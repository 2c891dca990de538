"""Collect corrections: feedback rows of kind correction joined to the interactions that they correct."""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.curation.duplicates.spilled_rows import BYTES, ROWS, SpilledRows
from flywheel.components.curation.duplicates.spilled_texts import SpilledTexts, blocks

SCHEMA = pa.schema(
    [
        ("interaction_id", pa.string()),
        ("subject", pa.string()),
        ("timestamp", pa.timestamp("us", "UTC")),
        ("messages", pa.string()),
        ("context", pa.string()),
        ("prompt", pa.string()),
        ("response", pa.string()),
        ("correction", pa.string()),
        ("comment", pa.string()),
        ("language", pa.string()),
        ("source", pa.string()),
    ]
)
_SAID = ("messages", "prompt", "response")
_INTERACTIONS = pa.schema([("interaction_id", pa.string()), ("language", pa.string()), ("consent", pa.bool_())])
_SIGNALS = pa.schema(
    [
        ("feedback_id", pa.string()),
        ("interaction_id", pa.string()),
        ("subject", pa.string()),
        ("timestamp", pa.timestamp("us", "UTC")),
        ("kind", pa.string()),
        ("source", pa.string()),
        ("text", pa.int64()),  # number of the text
    ]
)
# To a question that can be answered with no, "No, ..." is an answer; to any other it is a remark to the assistant.
_DENIAL = re.compile(r"^(?:no|nope|nah)\s*[,:;.!—–-]+\s*", re.IGNORECASE)
_YES_OR_NO = re.compile(
    r"(?:^|[,.;!?]\s*)(?:is|are|am|was|were|do|does|did|can|could|will|would|shall|should|may|must|has|have|had|isn't|"
    r"aren't|doesn't|don't|can't)\b",
    re.IGNORECASE,
)
# What a person says to the assistant before the answer itself; a model must not learn to say it to its users.
_LEAD_IN = re.compile(
    r"^(?:(?:wrong|incorrect|not (?:right|correct)|actually|correction|edit|fix(?:ed)?|hmm|"
    r"(?:that|this|it)(?:'s| is) (?:wrong|incorrect|outdated|not (?:right|true|correct)))"
    r"\s*[,:;.!—–-]+\s*|(?:the )?(?:correct|right|better|proper) (?:answer|response|reply) "
    r"(?:is|would be|should be)\s*:?\s+|"
    r"(?:the )?(?:answer|response|reply|it) should (?:be|say|read|have been)\s*:?\s+|should (?:be|say|read)\s*:?\s+)+",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Gathered:
    """Where every correction went.

    Attributes:
        corrections: Correction rows read.
        orphans: Corrections of interactions that the log does not hold (yet).
        superseded: Earlier corrections that the same subject replaced by a later one of the same interaction.
        without_consent: Corrections of interactions whose user did not agree to training.
        not_candidates: Interactions nobody corrected.
        lead_ins: Corrections whose opening remark to the assistant ("No, ...") was taken off.
    """

    corrections: int
    orphans: int
    superseded: int
    without_consent: int
    not_candidates: int
    lead_ins: int

    @property
    def quarantined(self) -> dict[str, int]:
        """Corrections that are no candidates, by reason."""
        counts = {"orphan": self.orphans, "superseded": self.superseded, "no_consent": self.without_consent}
        return {reason: count for reason, count in counts.items() if count}


@dataclass(frozen=True)
class Collected(Gathered):
    """Candidate rows and where every other correction went.

    Attributes:
        rows: One row per corrected interaction and subject, schema `SCHEMA`, ordered by time, then id.
    """

    rows: pa.Table


def answer_text(correction: str, prompt: str = "") -> tuple[str, bool]:
    """Take the opening remark to the assistant off a correction: "Wrong, it is 36 months" becomes "It is 36 months".

    Args:
        correction: What the user wrote.
        prompt: The question; "No, ..." stays when it can be answered with no.

    Returns:
        The answer and whether something was taken off; the text itself when nothing would be left.
    """
    text = correction.strip()
    rest = text if _YES_OR_NO.search(prompt) else _DENIAL.sub("", text)
    rest = _LEAD_IN.sub("", rest).strip()
    if not rest or rest == text:
        return text, False
    return rest[0].upper() + rest[1:], True


def context_of(messages: str) -> str:
    """What was said before the last user message, system prompts left out; "" for a single turn or broken JSON."""
    try:
        turns = json.loads(messages)
    except ValueError:
        return ""
    turns = [turn for turn in turns if isinstance(turn, dict)] if isinstance(turns, list) else []
    last = max((i for i, turn in enumerate(turns) if turn.get("role") == "user"), default=0)
    return "\n".join(str(turn.get("content", "")) for turn in turns[:last] if turn.get("role") in ("user", "assistant"))


def collect(interactions: pa.Table, feedback: pa.Table, total: int | None = None) -> Collected:
    """Join corrections to their interactions, as `gather`, from tables in memory.

    Args:
        interactions: Rows of the store's `interactions` table; those that nobody corrected may be left out.
        feedback: Rows of the store's `feedback` table, every kind.
        total: Interactions in the log; None: those given.
    """
    with SpilledRows(SCHEMA) as rows:
        found = gather([feedback], [interactions], rows)
        others = 0 if total is None else total - interactions.num_rows
        return Collected(**asdict(found) | {"not_candidates": found.not_candidates + others}, rows=rows.table())


def gather(feedback: Iterable[pa.Table], interactions: Iterable[pa.Table], rows: SpilledRows) -> Gathered:
    """Join corrections to their interactions; the latest correction of a subject about an interaction wins.

    Comments by the same subject about the same interaction are joined to the row. Ties in time go to the higher
    feedback id, so that the result does not depend on the order of rows. The texts lie on disk meanwhile; in memory are
    ids and times, about 250 bytes for each correction or comment.

    Args:
        feedback: Rows of the store's `feedback` table, every kind; read first.
        interactions: Rows of the store's `interactions` table, each id once.
        rows: Where the rows go: one per corrected interaction and subject, schema `SCHEMA`, ordered by time,
            interaction and subject.
    """
    with SpilledTexts() as remarks, SpilledTexts() as said:
        signals = _signals(feedback, remarks)
        known, read = _corrected(interactions, signals, said)
        signals = signals.append_column("place", pc.index_in(signals["interaction_id"], known["interaction_id"]))
        correction = pc.equal(signals["kind"], "correction")
        corrections, comments = signals.filter(correction), signals.filter(pc.invert(correction))
        orphans = corrections["place"].null_count
        corrections = corrections.filter(pc.is_valid(corrections["place"]))
        agreed = pc.fill_null(known["consent"].take(corrections["place"]), True)
        allowed = corrections.filter(agreed)
        latest = _latest(allowed)
        lead_ins = _write(latest, comments, known, said.finish(), remarks.finish(), rows)
    return Gathered(
        corrections=corrections.num_rows + orphans,
        orphans=orphans,
        superseded=allowed.num_rows - latest.num_rows,
        without_consent=corrections.num_rows - allowed.num_rows,
        not_candidates=read - known.num_rows,
        lead_ins=lead_ins,
    )


def _signals(feedback: Iterable[pa.Table], remarks: SpilledTexts) -> pa.Table:
    """Corrections and comments without their texts, ordered by time, then id; `text` is the number in `remarks`."""
    parts, texts = [_SIGNALS.empty_table()], 0
    for batch in feedback:
        correction, comment = (pc.equal(batch["kind"], kind) for kind in ("correction", "comment"))
        told = pc.greater(pc.fill_null(pc.utf8_length(batch["text"]), 0), 0)
        part = batch.filter(pc.or_(correction, pc.and_(comment, told)))
        remarks.append([text or "" for text in part["text"].to_pylist()])
        numbers = pa.array(np.arange(texts, texts + part.num_rows))
        texts += part.num_rows
        columns = [part[name] for name in _SIGNALS.names[:-1]]
        parts.append(pa.table([*columns, numbers], schema=_SIGNALS))
    return pa.concat_tables(parts).sort_by([("timestamp", "ascending"), ("feedback_id", "ascending")])


def _corrected(interactions: Iterable[pa.Table], signals: pa.Table, said: SpilledTexts) -> tuple[pa.Table, int]:
    """The interactions that somebody corrected, without their texts, and how many were read; `_SAID` go to `said`."""
    wanted = set(signals.filter(pc.equal(signals["kind"], "correction"))["interaction_id"].to_pylist())
    parts, read = [_INTERACTIONS.empty_table()], 0
    for batch in interactions:
        read += batch.num_rows
        part = batch.filter(pa.array([name in wanted for name in batch["interaction_id"].to_pylist()], pa.bool_()))
        columns = [part[name].to_pylist() for name in _SAID]
        said.append([text for row in zip(*columns, strict=True) for text in row])
        parts.append(pa.table([part[name] for name in _INTERACTIONS.names], schema=_INTERACTIONS))
    return pa.concat_tables(parts).combine_chunks(), read


def _latest(corrections: pa.Table) -> pa.Table:
    """The last correction of each interaction and subject, ordered by time, interaction and subject."""
    numbered = corrections.append_column("row", pa.array(np.arange(corrections.num_rows)))
    last = numbered.group_by(["place", "subject"], use_threads=False).aggregate([("row", "max")])["row_max"]
    order = [(name, "ascending") for name in ("timestamp", "interaction_id", "subject")]
    return corrections.take(last).sort_by(order)


def _write(
    latest: pa.Table, comments: pa.Table, known: pa.Table, said: SpilledTexts, remarks: SpilledTexts, rows: SpilledRows
) -> int:
    """Write the rows few at a time, as Python's objects take several times the room; returns the lead-ins removed."""
    names, lead_ins = ("interaction_id", "subject"), 0
    keys = [latest[name] for name in names]
    remarked: dict[int, list[int]] = {}  # row -> its comments
    if comments.num_rows:
        table = pa.table([*keys, pa.array(np.arange(latest.num_rows))], [*names, "row"])
        numbers = comments.select([*names, "text"]).append_column("order", pa.array(np.arange(comments.num_rows)))
        joined = numbers.join(table, list(names), join_type="inner").sort_by("order")
        for row, text in zip(joined["row"].to_pylist(), joined["text"].to_pylist(), strict=True):
            remarked.setdefault(row, []).append(text)
    lengths = said.lengths.reshape(-1, len(_SAID)).sum(axis=1, dtype=np.int64)[latest["place"].to_numpy()]
    for here in blocks(lengths, ROWS, BYTES):
        part = latest.slice(here.start, here.stop - here.start)
        about = known.take(part["place"])
        places = part["place"].to_numpy()[:, None] * len(_SAID) + np.arange(len(_SAID))
        texts = said.read(places.ravel())
        messages, prompts, responses = (texts[place :: len(_SAID)] for place in range(len(_SAID)))
        answers, removed = [], []
        for text, prompt in zip(remarks.read(part["text"].to_numpy()), prompts, strict=True):
            answer, stripped = answer_text(text, prompt)
            answers.append(answer)
            removed.append(stripped)
        lead_ins += sum(removed)
        comment = [
            " ".join(remarks.read(np.array(remarked[row]))) if row in remarked else ""
            for row in range(here.start, here.stop)
        ]
        columns = {
            "interaction_id": part["interaction_id"],
            "subject": part["subject"],
            "timestamp": part["timestamp"],
            "messages": messages,
            "context": list(map(context_of, messages)),
            "prompt": prompts,
            "response": responses,
            "correction": answers,
            "comment": comment,
            "language": about["language"],
            "source": part["source"],
        }
        rows.append(pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA))
    return lead_ins

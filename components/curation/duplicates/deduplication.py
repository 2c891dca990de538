"""Remove duplicate corrections and keep what the duplicates prove: who independently said the same thing.

A duplicate is the same content whoever wrote it: context, prompt, response and correction. The earliest record of a
group stays. Two more groupings are recorded: `group_id`, near-duplicates of the question or of the content (the unit of
leak-proof splits), and `question_id`, all wordings of one question about one fact (the unit of contradictions). Which
group a row is in, and as what kind of duplicate of which row it was dropped, is recorded for every row.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.curation.corrections import SCHEMA as CORRECTION_SCHEMA
from flywheel.components.curation.duplicates import groupings
from flywheel.components.curation.duplicates.edges import EXACT, NEAR, SEMANTIC
from flywheel.components.curation.duplicates.groupings import Groupings
from flywheel.components.curation.duplicates.spilled_rows import ROWS, SpilledRows
from flywheel.components.curation.duplicates.spilled_texts import SpilledTexts
from flywheel.components.curation.duplicates.wordings import Wordings, spilled
from flywheel.components.curation.guards.askers import Askers, LastAsked
from flywheel.components.curation.texts.claims import claim_of, key_of
from flywheel.components.curation.texts.normal_form import normal_form, question_form
from flywheel.components.store.engine import Engine

_TIME = pa.timestamp("us", "UTC")
_KINDS = ("", EXACT, NEAR, SEMANTIC)
SCHEMA = pa.schema(
    [
        *CORRECTION_SCHEMA,
        ("group_id", pa.string()),
        ("question_id", pa.string()),
        ("claim", pa.list_(pa.string())),
        ("support", pa.int64()),  # distinct subjects
        ("supporters", pa.list_(pa.string())),
        ("supported_at", pa.list_(_TIME)),  # first time of each supporter
        ("supporter_records", pa.list_(pa.int64())),  # corrections of each supporter in the group
        ("supporter_activity", pa.list_(pa.int64())),  # interactions of each supporter in the whole log
        ("endorsers", pa.list_(pa.string())),  # subjects that up-voted the corrected answer later than the correction
        ("askers", pa.int64()),  # subjects that corrected the question or got its answer since the correction
        ("silent_since", pa.int64()),  # subjects that got the answer after the last supporter and corrected nothing
    ]
)
GROUPS_SCHEMA = pa.schema(
    [
        ("interaction_id", pa.string()),
        ("subject", pa.string()),
        ("timestamp", _TIME),
        ("group_id", pa.string()),
        ("duplicate_of", pa.string()),  # interaction of the row that stayed; "" in that row itself
        ("kind", pa.string()),  # exact, near or semantic to an earlier row of the group; "" in the row that stayed
    ]
)


Endorsements = Mapping[Hashable, Sequence[tuple[str, datetime]]]  # key -> up-votes: subject and time


@dataclass(frozen=True)
class Deduplicated:
    """The kept rows and the counts.

    Attributes:
        rows: One row per content group, schema `SCHEMA`, ordered by time, then id.
        exact: Rows dropped because an earlier row has the same normal form.
        near: Rows dropped as near-duplicates.
        semantic: Rows dropped as semantic duplicates.
        groups: Content groups with more than one row.
        membership: One row per correction, kept or dropped, schema `GROUPS_SCHEMA`, in the same order.
    """

    rows: pa.Table
    exact: int
    near: int
    semantic: int
    groups: int
    membership: pa.Table


def deduplicate(
    corrections: pa.Table,
    lexicon: frozenset[str],
    activity: dict[str, int] | None = None,
    endorsements: Endorsements | None = None,
    jaccard: float = 0.8,
    asked: LastAsked | None = None,
    semantic: float = 0.0,
    encoder: str = "hashed",
    on: Engine | None = None,
) -> Deduplicated:
    """Keep the earliest record of each near-duplicate group.

    Args:
        corrections: Rows of `corrections.collect`, in any order.
        lexicon: Names of the corpus; fixed, so that deduplicating twice changes nothing.
        activity: Interactions of each subject in the whole log.
        endorsements: Up-votes of answers, from `endorsements`.
        jaccard: Least similarity in every field, in (0, 1].
        asked: Who got the corrected answers, from `askers.last_asked`; without, only the correctors count.
        semantic: Least cosine in every field of semantic duplicates, in (0, 1]; 0: none are looked for.
        encoder: Name of the encoder for them (`encoders.encoder`).
        on: Engine that brings the texts into normal form; None: this process.

    Raises:
        ValueError: `jaccard` or `semantic` is out of range, or there is no such encoder.
    """
    names = ("timestamp", "interaction_id", "subject", "correction")
    rows = corrections.select(CORRECTION_SCHEMA.names).sort_by([(name, "ascending") for name in names])
    with SpilledRows(CORRECTION_SCHEMA) as on_disk:
        on_disk.append(rows.combine_chunks())
        with grouped(on_disk, lexicon, activity, endorsements, jaccard, asked, semantic, encoder, on) as found:
            kinds = found.dropped()
            return Deduplicated(
                rows=pa.concat_tables([SCHEMA.empty_table(), *found.kept()]),
                exact=kinds[EXACT],
                near=kinds[NEAR],
                semantic=kinds[SEMANTIC],
                groups=found.groups,
                membership=pa.concat_tables([GROUPS_SCHEMA.empty_table(), *found.membership()]),
            )


@contextmanager
def grouped(
    rows: SpilledRows,
    lexicon: frozenset[str],
    activity: dict[str, int] | None = None,
    endorsements: Endorsements | None = None,
    jaccard: float = 0.8,
    asked: LastAsked | None = None,
    semantic: float = 0.0,
    encoder: str = "hashed",
    on: Engine | None = None,
) -> Iterator["Grouped"]:
    """Group corrections that lie on disk, as `deduplicate`; the result is read from there inside the `with` statement.

    Args:
        rows: Rows of `corrections.SCHEMA`, ordered by time, interaction and subject.
        lexicon: This and the others as for `deduplicate`.
        activity: As there.
        endorsements: As there.
        jaccard: As there.
        asked: As there.
        semantic: As there.
        encoder: As there.
        on: As there.

    Raises:
        ValueError: As `deduplicate`.
    """
    with SpilledTexts() as texts:
        wordings = spilled(rows, lexicon, on, texts)
        found = groupings.of(wordings, lexicon, jaccard, semantic, encoder)
        yield Grouped(rows, wordings, found, lexicon, activity or {}, endorsements or {}, asked or {})


class Grouped:
    """Corrections in groups: numbers in memory, texts on disk.

    Attributes:
        groups: Content groups with more than one row.
        group_ids: Groups of near-duplicate questions or contents.
    """

    def __init__(
        self,
        rows: SpilledRows,
        wordings: Wordings,
        found: Groupings,
        lexicon: frozenset[str],
        activity: Mapping[str, int],
        endorsements: Endorsements,
        asked: LastAsked,
    ) -> None:
        self._rows, self._wordings, self._found = rows, wordings, found
        self._lexicon, self._activity, self._endorsements = lexicon, activity, endorsements
        self._short = rows.table(["interaction_id", "subject", "timestamp"])
        self._at: list[datetime] = self._short["timestamp"].to_pylist()
        subjects = self._short["subject"].combine_chunks().dictionary_encode()
        names = subjects.dictionary.to_pylist()
        self._subjects: list[str] = [names[code] for code in subjects.indices.to_pylist()]  # one object for each
        self._members = groupings.members(found.contents)
        self._kinds = _kinds(self._members, found.wordings, wordings)
        self._askers = self._counted(asked)
        self.groups = sum(len(rows) > 1 for rows in self._members)
        self.group_ids = len(found.group_ids)

    def dropped(self) -> dict[str, int]:
        """Rows dropped of each kind."""
        counts = np.bincount(self._kinds, minlength=len(_KINDS)).tolist()
        return {kind: count for kind, count in zip(_KINDS, counts, strict=True) if kind}

    def kept(self) -> Iterator[pa.Table]:
        """The rows that stay, schema `SCHEMA`, in their order, a few thousand at a time."""
        firsts = self._found.firsts  # ascending: groups are numbered by first appearance
        more = pa.schema([SCHEMA.field(name) for name in SCHEMA.names[len(CORRECTION_SCHEMA) :]])
        start = done = 0
        for batch in self._rows.batches():
            stop = int(np.searchsorted(firsts, done + batch.num_rows))
            chosen = firsts[start:stop]
            contents = self._wordings.contents.read(chosen)
            found = [self._of_group(start + place, content) for place, content in enumerate(contents)]
            columns = [*batch.take(pa.array(chosen - done)).columns, *pa.Table.from_pylist(found, more).columns]
            yield pa.table(columns, schema=SCHEMA)
            start, done = stop, done + batch.num_rows

    def membership(self) -> Iterator[pa.Table]:
        """Which group every row is in, schema `GROUPS_SCHEMA`, in the order of the rows, a few thousand at a time."""
        interactions = self._short["interaction_id"].combine_chunks()
        first = self._found.firsts[self._found.contents]
        for start in range(0, self._rows.num_rows, ROWS):
            here = slice(start, start + ROWS)
            original = interactions.take(pa.array(first[here]))
            stays = pa.array(first[here] == np.arange(start, start + len(original)))
            columns = [
                *self._short.slice(start, ROWS).columns,
                groupings.written(self._found.group_ids[self._found.leak_proof[here]]),
                pc.if_else(stays, "", original),
                pa.array([_KINDS[kind] for kind in self._kinds[here].tolist()], pa.string()),
            ]
            yield pa.table(columns, schema=GROUPS_SCHEMA)

    def _of_group(self, group: int, content: tuple[str, ...]) -> dict[str, Any]:
        """What the rows of a group say together."""
        found, rows = self._found, self._members[group].tolist()
        first = rows[0]
        supporters = self._supporters(rows)
        records = [self._subjects[row] for row in rows]
        votes = self._endorsements.get(self._wordings.keys[first].tobytes(), [])
        askers, silent = self._askers[group].tolist()
        return {
            "group_id": groupings.written(found.group_ids[found.leak_proof[first : first + 1]])[0].as_py(),
            "question_id": groupings.written(found.question_ids[found.about[first : first + 1]])[0].as_py(),
            "claim": list(claim_of(*content[1:], self._lexicon)),
            "support": len(supporters),
            "supporters": list(supporters),
            "supported_at": list(supporters.values()),
            "supporter_records": [records.count(subject) for subject in supporters],
            "supporter_activity": [self._activity.get(subject, 1) for subject in supporters],
            "endorsers": sorted({subject for subject, when in votes if when >= self._at[first]} - set(supporters)),
            "askers": askers,
            "silent_since": silent,
        }

    def _supporters(self, rows: Sequence[int]) -> dict[str, datetime]:
        """Who wrote the rows of a group, and when first."""
        found: dict[str, datetime] = {}
        for row in rows:
            found.setdefault(self._subjects[row], self._at[row])
        return found

    def _counted(self, asked: LastAsked) -> np.ndarray:
        """Of each content group the subjects that got an answer of its question, as `SCHEMA` counts them; (g, 2)."""
        keys, counts = self._wordings.keys, np.zeros((len(self._members), 2), dtype=np.int64)
        for rows in groupings.members(self._found.about):
            known = {keys[row].tobytes(): None for row in rows.tolist()}
            answers = Askers([asked[key] for key in known if key in asked], [self._subjects[row] for row in rows])
            for group in np.unique(self._found.contents[rows]).tolist():
                supporters = self._supporters(self._members[group].tolist())
                first = self._found.firsts[group]
                counts[group] = answers.since(self._at[first]), answers.silent_after(max(supporters.values()))
        return counts


def _kinds(groups: Sequence[np.ndarray], labels: np.ndarray, wordings: Wordings) -> np.ndarray:
    """As what each row was dropped, as a place in `_KINDS`; shape (n,), int8."""
    kinds = np.zeros(len(labels), dtype=np.int8)
    digests = wordings.contents.digests
    for rows in groups:
        contents: set[bytes] = set()
        seen: set[int] = set()
        for place, row in enumerate(rows.tolist()):
            content, label = digests[row].tobytes(), int(labels[row])
            if place:
                kinds[row] = _KINDS.index(EXACT if content in contents else NEAR if label in seen else SEMANTIC)
            contents.add(content)
            seen.add(label)
    return kinds


def activity_of(interactions: pa.Table) -> dict[str, int]:
    """Interactions of each subject in the log."""
    counts = pc.value_counts(interactions["subject"].combine_chunks())
    return dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))


def endorsements(
    interactions: pa.Table, feedback: pa.Table, lexicon: frozenset[str], contexts: Sequence[str]
) -> dict[Hashable, list[tuple[str, datetime]]]:
    """Up-votes by answered fact, or by question and answer where no fact can be told.

    Args:
        interactions: Rows of the store's `interactions` table.
        feedback: Rows of the store's `feedback` table.
        lexicon: Names of the corpus.
        contexts: What was said before each interaction's question (`corrections.context_of`), in the table's order.

    Returns:
        (subject, time) of each up-vote by key, as `deduplicate` looks them up.
    """
    rating = feedback.filter(pc.and_(pc.equal(feedback["kind"], "rating"), pc.greater(feedback["value"], 0)))
    up_votes: dict[str, list[tuple[str, datetime]]] = defaultdict(list)
    for row in rating.select(["interaction_id", "subject", "timestamp"]).to_pylist():
        up_votes[row["interaction_id"]].append((row["subject"], row["timestamp"]))
    found: dict[Hashable, list[tuple[str, datetime]]] = defaultdict(list)
    columns = interactions.select(["interaction_id", "prompt", "response"]).to_pylist()
    for row, context in zip(columns, contexts, strict=True):
        if row["interaction_id"] in up_votes:
            forms = normal_form(context), question_form(row["prompt"]), normal_form(row["response"])
            found[key_of(*forms, lexicon)[0]].extend(up_votes[row["interaction_id"]])
    return dict(found)

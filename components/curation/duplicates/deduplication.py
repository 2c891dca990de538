"""Remove duplicate corrections and keep what the duplicates prove: who independently said the same thing.

A duplicate is the same content whoever wrote it: context, prompt, response and correction. The earliest record of a
group stays. Two more groupings are recorded: `group_id`, near-duplicates of the question or of the content (the unit of
leak-proof splits), and `question_id`, all wordings of one question about one fact (the unit of contradictions). Which
group a row is in, and as what kind of duplicate of which row it was dropped, is recorded for every row.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.curation.corrections import SCHEMA as CORRECTION_SCHEMA
from flywheel.components.curation.duplicates import near_duplicates
from flywheel.components.curation.duplicates.edges import EXACT, NEAR, SEMANTIC, connected
from flywheel.components.curation.guards.askers import Askers, LastAsked
from flywheel.components.curation.texts.claims import claim_of, fact_of
from flywheel.components.curation.texts.normal_form import normal_form, question_form
from flywheel.components.store.engine import Engine
from flywheel.components.store.tables import row_id

_TIME = pa.timestamp("us", "UTC")
_TEXTS = ("context", "prompt", "response", "correction")
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
    endorsements: dict[Hashable, list[tuple[str, datetime]]] | None = None,
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
    rows = corrections.select(CORRECTION_SCHEMA.names)
    rows = rows.sort_by([(name, "ascending") for name in names]).combine_chunks()
    at, interactions, subjects = (rows[name].to_pylist() for name in names[:3])
    forms = _forms(rows.select(_TEXTS), on)
    questions = list(zip(forms["context"].to_pylist(), forms["prompt"].to_pylist(), strict=True))
    answers = list(zip(forms["response"].to_pylist(), forms["correction"].to_pylist(), strict=True))
    del forms
    contents = [question + answer for question, answer in zip(questions, answers, strict=True)]
    of_question = near_duplicates.group(questions, lexicon, jaccard)
    of_wording = near_duplicates.group(contents, lexicon, jaccard)
    of_content = _semantic(contents, lexicon, of_wording, semantic, encoder) if semantic else of_wording
    leak_proof = _joined(rows.num_rows, of_question.tolist(), of_content.tolist())
    facts = [fact_of(question[1], answer[0], lexicon) for question, answer in zip(questions, answers, strict=True)]
    about = _joined(rows.num_rows, leak_proof, facts)
    group_names = _names("group", leak_proof, questions)
    question_names = _names("question", about, questions)

    keys = [fact or (*question, answer[0]) for fact, question, answer in zip(facts, questions, answers, strict=True)]
    askers = _askers(about, keys, subjects, asked or {})

    members: dict[int, list[int]] = defaultdict(list)
    for index, label in enumerate(of_content.tolist()):
        members[label].append(index)
    firsts = [indices[0] for indices in members.values()]
    found: list[dict[str, Any]] = []
    duplicate_of, kinds = np.empty(rows.num_rows, dtype=np.int64), [""] * rows.num_rows
    for first, indices in zip(firsts, members.values(), strict=True):
        seen: set[Hashable] = set()
        for index in indices:
            wording = int(of_wording[index])
            if index != first:
                kinds[index] = EXACT if contents[index] in seen else NEAR if wording in seen else SEMANTIC
            seen |= {contents[index], wording}
            duplicate_of[index] = first
        supporters: dict[str, datetime] = {}
        for index in indices:
            supporters.setdefault(subjects[index], at[index])
        question, (response, correction) = questions[first], answers[first]
        votes = (endorsements or {}).get(keys[first], [])
        found.append(
            {
                "group_id": group_names[leak_proof[first]],
                "question_id": question_names[about[first]],
                "claim": list(claim_of(question[1], response, correction, lexicon)),
                "support": len(supporters),
                "supporters": list(supporters),
                "supported_at": list(supporters.values()),
                "supporter_records": [sum(subjects[i] == subject for i in indices) for subject in supporters],
                "supporter_activity": [(activity or {}).get(subject, 1) for subject in supporters],
                "endorsers": sorted({subject for subject, when in votes if when >= at[first]} - set(supporters)),
                "askers": askers[about[first]].since(at[first]),
                "silent_since": askers[about[first]].silent_after(max(supporters.values())),
            }
        )
    kept = rows.take(pa.array(firsts, pa.int64()))
    more = pa.Table.from_pylist(
        found, pa.schema([SCHEMA.field(name) for name in SCHEMA.names[len(CORRECTION_SCHEMA) :]])
    )
    membership = [
        *(rows[name] for name in ("interaction_id", "subject", "timestamp")),
        pa.array([group_names[label] for label in leak_proof], pa.string()),
        pa.array(
            ["" if first == row else interactions[first] for row, first in enumerate(duplicate_of.tolist())],
            pa.string(),
        ),
        pa.array(kinds, pa.string()),
    ]
    dropped = Counter(kinds)
    return Deduplicated(
        rows=pa.table([*kept.columns, *more.columns], schema=SCHEMA),
        exact=dropped[EXACT],
        near=dropped[NEAR],
        semantic=dropped[SEMANTIC],
        groups=sum(len(indices) > 1 for indices in members.values()),
        membership=pa.table(membership, schema=GROUPS_SCHEMA),
    )


def _askers(
    about: Sequence[int], keys: Sequence[Hashable], subjects: Sequence[str], asked: LastAsked
) -> dict[int, Askers]:
    """Who got an answer of each question."""
    keys_of: dict[int, dict[Hashable, None]] = defaultdict(dict)
    correctors: dict[int, set[str]] = defaultdict(set)
    for label, key, subject in zip(about, keys, subjects, strict=True):
        keys_of[label][key] = None
        correctors[label].add(subject)
    return {
        label: Askers([asked[key] for key in known if key in asked], correctors[label])
        for label, known in keys_of.items()
    }


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
            prompt, response = question_form(row["prompt"]), normal_form(row["response"])
            key = fact_of(prompt, response, lexicon) or (normal_form(context), prompt, response)
            found[key].extend(up_votes[row["interaction_id"]])
    return dict(found)


def _semantic(
    contents: Sequence[near_duplicates.Document], lexicon: frozenset[str], labels: np.ndarray, least: float, name: str
) -> np.ndarray:
    """Labels after semantic duplicates are joined as well, numbered by first appearance."""
    from flywheel.components.curation.duplicates import semantic_duplicates
    from flywheel.components.curation.encoders import encoder

    guards = semantic_duplicates.guards_of(contents, lexicon)
    found = semantic_duplicates.edges(contents, guards, encoder(name), least, labels)
    first = np.unique(labels, return_index=True)[1][labels]
    every = np.arange(len(labels))
    return connected(len(labels), np.concatenate([every, found.left]), np.concatenate([first, found.right]))


def _forms(texts: pa.Table, on: Engine | None) -> pa.Table:
    units = [texts] if on is None or texts.num_rows == 0 else on.split(texts)
    return pa.concat_tables(map(_in_normal_form, units) if on is None else on.map(_in_normal_form, units))


def _in_normal_form(texts: pa.Table) -> pa.Table:
    return pa.table(
        {
            name: pa.array([(question_form if name == "prompt" else normal_form)(text) for text in column], pa.string())
            for name, column in ((name, texts[name].to_pylist()) for name in _TEXTS)
        }
    )


def _joined(count: int, *labellings: Sequence[Hashable]) -> list[int]:
    """Connected components of rows that share a label in any labelling; None is no label."""
    nodes: dict[Hashable, int] = {}
    left, right = [], []
    for which, labels in enumerate(labellings):
        for row, label in enumerate(labels):
            if label is not None:
                left.append(row)
                right.append(count + nodes.setdefault((which, label), len(nodes)))
    return connected(count + len(nodes), np.array(left, np.int64), np.array(right, np.int64))[:count].tolist()


def _names(kind: str, labels: Iterable[int], questions: Sequence[tuple[str, str]]) -> dict[int, str]:
    """Ids from content: a group is named after its smallest question, so that the order of rows does not matter."""
    smallest: dict[int, tuple[str, str]] = {}
    for label, question in zip(labels, questions, strict=True):
        smallest[label] = min(smallest.get(label, question), question)
    taken = Counter(smallest.values())
    assert max(taken.values(), default=1) == 1  # equal questions are always in one group
    return {label: row_id(kind, *question) for label, question in smallest.items()}

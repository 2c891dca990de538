"""Collect corrections and remove duplicates."""

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from itertools import chain, groupby
from statistics import median
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.contracts.tables import FeedbackSnapshot, TableReference
from flywheel.components.curation.stages import files
from flywheel.components.curation.stages.records import record
from flywheel.components.curation.stages.votes import lexicon_in
from flywheel.components.store import observed
from flywheel.components.store.engine import running
from flywheel.components.store.tables import SCHEMAS

if TYPE_CHECKING:
    from flywheel.components.curation.duplicates.spilled_rows import SpilledRows

Endorsements = dict[Hashable, list[tuple[str, datetime]]]

_INTERACTIONS = ["interaction_id", "subject", "messages", "prompt", "response", "language", "consent"]
_SIGNALS = ["feedback_id", "interaction_id", "subject", "timestamp", "kind", "annotator", "value", "text", "source"]
_RATINGS = ["interaction_id", "subject", "timestamp", "kind", "value"]
_INDEX = pa.int64()
_SHORT = pa.schema([("interaction_id", pa.string()), ("subject", pa.string()), ("response", pa.string())])


def deduplicate(
    feedback: str,
    kept: str,
    run_id: str,
    jaccard: float = 0.8,
    semantic: float = 0.0,
    encoder: str = "hashed",
    groups: str = "",
    engine: str = "native",
    ray_address: str = "",
) -> StepRecord:
    """Collect corrections and remove duplicates.

    The log streams, and what corrections say lies in temporary files, about four times as large as their texts. In
    memory stay ids, times and numbers (measured: 1 KB for each correction however long it is, 300 bytes for each
    up-vote, 150 for each interaction), a count for each user, and 0.7 KB for each of a few thousand corrections that
    are compared at a time, or for all with the same numbers and names where these are more.

    Args:
        feedback: Path of a feedback snapshot.
        kept: Path of the Parquet file to write.
        run_id: Run.
        jaccard: Least similarity of near-duplicates, in (0, 1].
        semantic: Least cosine of semantic duplicates, in (0, 1]; 0: none are looked for.
        encoder: Name of the encoder for them.
        groups: Path of the Parquet file that says for every correction, kept or dropped, which group it is in and as
            what it was dropped (`deduplication.GROUPS_SCHEMA`); "": none is written.
        engine: Where the texts are prepared and compared (`store.engine`): "native" or "ray".
        ray_address: For ray, the cluster's address; "": the environment's RAY_ADDRESS.

    Raises:
        ValueError: The snapshot or a parameter is not valid, or the engine cannot be used.
    """
    from flywheel.components.curation import corrections
    from flywheel.components.curation.duplicates import deduplication
    from flywheel.components.curation.duplicates.spilled_rows import SpilledRows
    from flywheel.components.curation.guards import approval

    started = datetime.now(UTC)
    snapshot = FeedbackSnapshot.read(feedback)
    seen = _Seen()
    with SpilledRows(corrections.SCHEMA) as rows:
        found = corrections.gather(seen.signals(snapshot.feedback), seen.interactions(snapshot.interactions), rows)
        responses = pa.chunked_array((_digests(batch["response"]) for batch in rows.batches(["response"])), pa.string())
        ratings = pa.concat_tables(seen.ratings)
        likes = approval.of_log(pa.concat_tables(seen.short).sort_by("interaction_id"), ratings, responses.to_pylist())
        seen.short.clear()
        wordings = (text for batch in rows.batches(["correction"]) for text in batch["correction"].to_pylist())
        lexicon = lexicon_in(snapshot.interactions, wordings)
        votes, asked = _said(snapshot.interactions, ratings, rows, lexicon)
        notes = {
            "snapshot": snapshot.model_dump(mode="json"),
            "median_activity": float(median(seen.activity.values() or [0])),
            "audience": {
                "users": len(seen.activity),
                "corrections": rows.num_rows,
                "approval": asdict(likes) if likes else None,
            },
        }
        with (
            running(engine, ray_address) as on,
            deduplication.grouped(rows, lexicon, seen.activity, votes, jaccard, asked, semantic, encoder, on) as result,
        ):
            if groups:
                with files.writer(groups, deduplication.GROUPS_SCHEMA, notes) as file:
                    for part in result.membership():
                        file.write(part)
            with files.writer(kept, deduplication.SCHEMA, notes) as file:
                for part in result.kept():
                    file.write(part)
            dropped = result.dropped()
            accepted = rows.num_rows - sum(dropped.values())
    return record(
        "deduplicate_feedback",
        run_id,
        started,
        RowCounts(
            rows_in=found.corrections,
            accepted=accepted,
            duplicates=sum(dropped.values()),
            quarantined=found.quarantined,
        ),
        dropped | {"groups": result.group_ids, "not_candidates": found.not_candidates},
        dropped
        | {
            "groups": result.group_ids,
            "duplicate_groups": result.groups,
            "lead_ins_removed": found.lead_ins,
            "interactions_without_correction": found.not_candidates,
            "error_rate": "near-duplicates are verified exactly; of the pairs at Jaccard 0.8 or more the candidate "
            "search misses less than 0.1 %",
            **notes,
        },
    )


@dataclass(frozen=True)
class _Seen:
    """What is remembered of a log that streams by.

    Attributes:
        activity: Interactions of each subject.
        short: Of every interaction the id, the subject and what stands for the answer.
        ratings: Ratings, `_RATINGS`.
    """

    activity: Counter[str] = field(default_factory=Counter)
    short: list[pa.Table] = field(default_factory=lambda: [_SHORT.empty_table()])
    ratings: list[pa.Table] = field(
        default_factory=lambda: [pa.schema(map(SCHEMAS["feedback"].field, _RATINGS)).empty_table()]
    )

    def signals(self, feedback: TableReference) -> Iterator[pa.Table]:
        """Corrections, comments and ratings."""
        wanted = pc.field("kind").isin(["correction", "comment", "rating"])
        for batch in observed.batches(feedback, _SIGNALS, wanted):
            self.ratings.append(batch.filter(pc.equal(batch["kind"], "rating")).select(_RATINGS))
            yield batch

    def interactions(self, interactions: TableReference) -> Iterator[pa.Table]:
        """The whole log."""
        from flywheel.components.curation.duplicates import deduplication

        for batch in observed.batches(interactions, _INTERACTIONS):
            self.activity.update(deduplication.activity_of(batch))
            columns = [batch["interaction_id"], batch["subject"], _digests(batch["response"])]
            self.short.append(pa.table(columns, schema=_SHORT))
            yield batch


def _digests(answers: pa.ChunkedArray) -> pa.Array:
    """What stands for answers where only equal ones count: 16 digits, two are equal with probability 2^-64."""
    return pa.array(map(_digest, answers.to_pylist()), pa.string())


def _digest(answer: str) -> str:
    return answer and hashlib.blake2b(answer.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _said(
    interactions: TableReference, ratings: pa.Table, rows: "SpilledRows", lexicon: frozenset[str]
) -> tuple[Endorsements, dict[Hashable, dict[str, datetime]]]:
    """Who voted for the answers that somebody corrected, and who got them: batch by batch of the log."""
    from flywheel.components.curation import corrections
    from flywheel.components.curation.duplicates import deduplication
    from flywheel.components.curation.guards import askers
    from flywheel.components.curation.texts.normal_form import normal_form

    given: set[str] = set()
    forms: set[int] = set()  # two with one hash cost time, and nothing else
    for batch in rows.batches(["response"]):
        texts = dict.fromkeys(batch["response"].to_pylist())
        given.update(map(_digest, texts))
        forms.update(hash(normal_form(text)) for text in texts)
    up = ratings.filter(pc.greater(ratings["value"], 0)).sort_by("interaction_id")
    liked = _runs(up["interaction_id"].to_pylist())
    votes: Endorsements = {}
    asked: dict[Hashable, dict[str, datetime]] = {}
    columns = ["interaction_id", "subject", "timestamp", "messages", "prompt", "response"]
    for batch in observed.batches(interactions, columns):
        voted = batch.filter(pa.array([name in liked for name in batch["interaction_id"].to_pylist()], pa.bool_()))
        voted = voted.filter(
            pa.array([hash(normal_form(text)) in forms for text in voted["response"].to_pylist()], pa.bool_())
        )
        by = up.take(pa.array(chain.from_iterable(liked[name] for name in voted["interaction_id"].to_pylist()), _INDEX))
        contexts = [corrections.context_of(text) for text in voted["messages"].to_pylist()]
        for key, more in deduplication.endorsements(voted, by, lexicon, contexts).items():
            votes.setdefault(key, []).extend(more)
        wanted = batch.filter(pa.array([_digest(text) in given for text in batch["response"].to_pylist()], pa.bool_()))
        contexts = [corrections.context_of(text) for text in wanted["messages"].to_pylist()]
        answers = pc.unique(wanted["response"]).to_pylist()
        for key, last in askers.last_asked(wanted, answers, lexicon, contexts).items():
            known = asked.setdefault(key, {})
            for subject, at in last.items():
                known[subject] = max(known.get(subject, at), at)
    return votes, asked


def _runs(values: list[str]) -> dict[str, range]:
    """Where each value stands in a sorted list."""
    runs, start = {}, 0
    for value, equal in groupby(values):
        runs[value] = range(start, start + sum(1 for _ in equal))
        start = runs[value].stop
    return runs

"""Collect corrections and remove duplicates."""

import hashlib
from collections import Counter
from collections.abc import Hashable
from dataclasses import asdict
from datetime import UTC, datetime
from statistics import median

import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.contracts.tables import FeedbackSnapshot, TableReference
from flywheel.components.curation.stages.files import write
from flywheel.components.curation.stages.records import record
from flywheel.components.curation.stages.votes import lexicon_in
from flywheel.components.store import observed
from flywheel.components.store.engine import running
from flywheel.components.store.tables import SCHEMAS

Endorsements = dict[Hashable, list[tuple[str, datetime]]]

_INTERACTIONS = ["interaction_id", "subject", "messages", "prompt", "response", "language", "consent"]
_SHORT = ["interaction_id", "subject", "response"]
_SIGNALS = ["feedback_id", "interaction_id", "subject", "timestamp", "kind", "annotator", "value", "text", "source"]


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

    The log streams. In memory stay for each correction its texts and their normal forms (measured: 16 KB at 1 KB
    of text), 300 bytes for each other signal, 150 for each interaction, and a count for each user.

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
    from flywheel.components.curation.guards import approval

    started = datetime.now(UTC)
    snapshot = FeedbackSnapshot.read(feedback)
    signals = observed.read(snapshot.feedback, _SIGNALS, pc.field("kind").isin(["correction", "comment", "rating"]))
    corrected = pc.unique(signals.filter(pc.equal(signals["kind"], "correction"))["interaction_id"])
    activity: Counter[str] = Counter()
    schema = pa.schema([SCHEMAS["interactions"].field(name) for name in _INTERACTIONS])
    about, short = [schema.empty_table()], [schema.empty_table().select(_SHORT)]
    for batch in observed.batches(snapshot.interactions, _INTERACTIONS):
        activity.update(deduplication.activity_of(batch))
        about.append(batch.filter(pc.is_in(batch["interaction_id"], corrected)))
        answers = pa.array(map(_digest, batch["response"].to_pylist()), pa.string())
        short.append(pa.table([batch["interaction_id"], batch["subject"], answers], schema=short[0].schema))
    found = corrections.collect(pa.concat_tables(about).sort_by("interaction_id"), signals, activity.total())
    del about
    everyone = pa.concat_tables(short).sort_by("interaction_id")
    likes = approval.of_log(everyone, signals, [_digest(text) for text in found.rows["response"].to_pylist()])
    del short, everyone
    lexicon = lexicon_in(snapshot.interactions, found.rows["correction"].to_pylist())
    votes, asked = _said(snapshot.interactions, signals, found.rows["response"], lexicon)
    del signals
    with running(engine, ray_address) as on:
        result = deduplication.deduplicate(found.rows, lexicon, activity, votes, jaccard, asked, semantic, encoder, on)
    notes = {
        "snapshot": snapshot.model_dump(mode="json"),
        "median_activity": float(median(activity.values() or [0])),
        "audience": {
            "users": len(activity),
            "corrections": found.rows.num_rows,
            "approval": asdict(likes) if likes else None,
        },
    }
    if groups:
        write(result.membership, groups, notes)
    write(result.rows, kept, notes)
    count = len(set(result.rows["group_id"].to_pylist()))
    dropped = {"exact": result.exact, "near": result.near, "semantic": result.semantic}
    return record(
        "deduplicate_feedback",
        run_id,
        started,
        RowCounts(
            rows_in=found.corrections,
            accepted=result.rows.num_rows,
            duplicates=sum(dropped.values()),
            quarantined=found.quarantined,
        ),
        dropped | {"groups": count, "not_candidates": found.not_candidates},
        dropped
        | {
            "groups": count,
            "duplicate_groups": result.groups,
            "lead_ins_removed": found.lead_ins,
            "interactions_without_correction": found.not_candidates,
            "error_rate": "near-duplicates are verified exactly; of the pairs at Jaccard 0.8 or more the candidate "
            "search misses less than 0.1 %",
            **notes,
        },
    )


def _digest(answer: str) -> str:
    """What stands for an answer where only equal ones count: 16 digits, two are equal with probability 2^-64."""
    return answer and hashlib.blake2b(answer.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _said(
    interactions: TableReference, signals: pa.Table, responses: pa.ChunkedArray, lexicon: frozenset[str]
) -> tuple[Endorsements, dict[Hashable, dict[str, datetime]]]:
    """Who voted for the answers that somebody corrected, and who got them: batch by batch of the log."""
    from flywheel.components.curation import corrections
    from flywheel.components.curation.duplicates import deduplication
    from flywheel.components.curation.guards import askers
    from flywheel.components.curation.texts.normal_form import normal_form

    given = pc.unique(responses)
    forms = {hash(normal_form(text)) for text in given.to_pylist()}  # two with one hash cost time, and nothing else
    up = signals.filter(pc.and_(pc.equal(signals["kind"], "rating"), pc.greater(signals["value"], 0)))
    liked = pc.unique(up["interaction_id"])
    votes: Endorsements = {}
    asked: dict[Hashable, dict[str, datetime]] = {}
    columns = ["interaction_id", "subject", "timestamp", "messages", "prompt", "response"]
    for batch in observed.batches(interactions, columns):
        voted = batch.filter(pc.is_in(batch["interaction_id"], liked))
        voted = voted.filter(
            pa.array([hash(normal_form(text)) in forms for text in voted["response"].to_pylist()], pa.bool_())
        )
        by = up.filter(pc.is_in(up["interaction_id"], voted["interaction_id"].combine_chunks()))
        contexts = [corrections.context_of(text) for text in voted["messages"].to_pylist()]
        for key, more in deduplication.endorsements(voted, by, lexicon, contexts).items():
            votes.setdefault(key, []).extend(more)
        wanted = batch.filter(pc.is_in(batch["response"], given))
        contexts = [corrections.context_of(text) for text in wanted["messages"].to_pylist()]
        answers = pc.unique(wanted["response"]).to_pylist()
        for key, last in askers.last_asked(wanted, answers, lexicon, contexts).items():
            known = asked.setdefault(key, {})
            for subject, at in last.items():
                known[subject] = max(known.get(subject, at), at)
    return votes, asked

"""Write the preference pairs of a run."""

from collections import defaultdict
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.contracts.tables import CandidateSnapshot, FeedbackSnapshot
from flywheel.components.curation.stages.files import write
from flywheel.components.curation.stages.records import record
from flywheel.components.curation.stages.votes import interactions_of, lexicon_in, rated_interactions, votes_of
from flywheel.components.store import delta_table, observed

_INTERACTIONS = ["interaction_id", "messages", "prompt", "response", "language", "consent"]
_SIGNALS = ["feedback_id", "interaction_id", "subject", "timestamp", "kind", "text", "source"]
_ROWS = 2048
ERROR_RATE = (
    "a pair of votes is right with the belief in its column `weight`, if users err independently; no pair rests on "
    "length alone, none contradicts another, and one user alone stands behind at most {share:.0%} of them, or 5"
)


def mine_preferences(
    candidates: str, pairs: str, rated: str, store: str, run_id: str, max_share_per_subject: float = 0.02
) -> StepRecord:
    """Write the preference pairs of a run, and the rated answers that need no pair.

    The log streams; in memory stay the accepted candidates and the rated interactions with their texts, about ten
    times as large as these.

    Args:
        candidates: Path of a candidate snapshot.
        pairs: Path of the Parquet file to write (`preferences.pair.SCHEMA`).
        rated: Path of the Parquet file of rated answers to write (`preferences.rated_answers.SCHEMA`).
        store: URI of the feedback store; the run's record of `deduplicate_feedback` names the version of the votes.
        run_id: Run.
        max_share_per_subject: Greatest share of the pairs that one subject alone may stand behind, in (0, 1].

    Raises:
        ValueError: The snapshot or the share is not valid, or the store cannot be read.
    """
    from flywheel.components.curation.preferences import preference_pairs

    started = datetime.now(UTC)
    snapshot = CandidateSnapshot.read(candidates)
    wanted = (pc.field("run_id") == snapshot.run_id) & (pc.field("route") == "accept")
    accepted = delta_table.read(snapshot.candidates, where=wanted).to_pylist()
    votes = votes_of(store, snapshot.run_id)
    lexicon = lexicon_in(votes.interactions, [row["correction"] for row in accepted])
    behind = _supporters(votes)
    mined = preference_pairs.mine(accepted, rated_interactions(votes), lexicon, behind, max_share_per_subject)
    notes = {"candidates": snapshot.model_dump(mode="json")}
    write(mined.pairs, pairs, notes)
    write(mined.rated, rated, notes)
    liked = pc.sum(mined.rated["label"]).as_py() or 0
    disliked = mined.rated.num_rows - liked
    return record(
        "mine_preferences",
        run_id,
        started,
        RowCounts(
            rows_in=mined.considered,
            accepted=mined.pairs.num_rows,
            duplicates=mined.duplicates,
            quarantined=mined.dropped,
        ),
        {
            "pairs": mined.pairs.num_rows,
            **{f"pairs_{kind}": count for kind, count in mined.evidence().items()},
            "rated_liked": liked,
            "rated_disliked": disliked,
        },
        {
            "evidence": mined.evidence(),
            "left_out": mined.dropped,
            "rated": {"liked": liked, "disliked": disliked},
            "error_rate": ERROR_RATE.format(share=max_share_per_subject),
        },
    )


def _supporters(snapshot: FeedbackSnapshot) -> dict[tuple[tuple[str, str], str], dict[str, str]]:
    """Who gave each correction to each question, with the feedback row."""
    from flywheel.components.curation import corrections
    from flywheel.components.curation.preferences.answers import question_of
    from flywheel.components.curation.texts.normal_form import normal_form

    said = pc.field("kind").isin(["correction", "comment"])
    feedback = observed.read(snapshot.feedback, _SIGNALS, said)
    latest, ids = {}, set()
    for row in feedback.sort_by([("timestamp", "ascending"), ("feedback_id", "ascending")]).to_pylist():
        if row["kind"] == "correction":
            latest[row["interaction_id"], row["subject"]] = row["feedback_id"]
            ids.add(row["interaction_id"])
    interactions = interactions_of(snapshot.interactions, pa.array(sorted(ids), pa.string()), _INTERACTIONS)
    found: dict[tuple[tuple[str, str], str], dict[str, str]] = defaultdict(dict)
    for batch in corrections.collect(interactions, feedback).rows.to_batches(_ROWS):
        for row in batch.to_pylist():
            key = (question_of(row), normal_form(row["correction"]))
            found[key].setdefault(row["subject"], latest[row["interaction_id"], row["subject"]])
    return dict(found)

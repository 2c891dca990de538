"""Write the preference pairs of a run."""

from collections import defaultdict
from datetime import UTC, datetime

import pyarrow.compute as pc

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.contracts.tables import CandidateSnapshot, FeedbackSnapshot
from flywheel.components.curation.stages.files import write
from flywheel.components.curation.stages.records import record
from flywheel.components.curation.stages.votes import lexicon_of, rated_interactions, votes_of
from flywheel.components.store import delta_table, observed

ERROR_RATE = (
    "a pair of votes is right with the belief in its column `weight`, if users err independently; no pair rests on "
    "length alone, none contradicts another, and one user alone stands behind at most {share:.0%} of them, or 5"
)


def mine_preferences(
    candidates: str, pairs: str, rated: str, store: str, run_id: str, max_share_per_subject: float = 0.02
) -> StepRecord:
    """Write the preference pairs of a run, and the rated answers that need no pair.

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
    lexicon = lexicon_of(observed.read(votes.interactions), [row["correction"] for row in accepted])
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

    feedback = observed.read(snapshot.feedback)
    latest = {
        (row["interaction_id"], row["subject"]): row["feedback_id"]
        for row in sorted(feedback.to_pylist(), key=lambda row: (row["timestamp"], row["feedback_id"]))
        if row["kind"] == "correction"
    }
    found: dict[tuple[tuple[str, str], str], dict[str, str]] = defaultdict(dict)
    for row in corrections.collect(observed.read(snapshot.interactions), feedback).rows.to_pylist():
        key = (question_of(row), normal_form(row["correction"]))
        found[key].setdefault(row["subject"], latest[row["interaction_id"], row["subject"]])
    return dict(found)

"""Write the preference pairs of a run."""

from datetime import UTC, datetime

import pyarrow.compute as pc

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.contracts.tables import CandidateSnapshot
from flywheel.components.curation.stages.files import write
from flywheel.components.curation.stages.records import record
from flywheel.components.curation.stages.votes import lexicon_of, rated_interactions, votes_of
from flywheel.components.store import delta_table, observed


def mine_preferences(candidates: str, pairs: str, store: str, run_id: str) -> StepRecord:
    """Write the preference pairs of a run.

    Args:
        candidates: Path of a candidate snapshot.
        pairs: Path of the Parquet file to write (`preference_pairs.SCHEMA`).
        store: URI of the feedback store; the run's record of `deduplicate_feedback` names the version of the votes.
        run_id: Run.

    Raises:
        ValueError: The snapshot is not valid or the store cannot be read.
    """
    from flywheel.components.curation.preferences import preference_pairs

    started = datetime.now(UTC)
    snapshot = CandidateSnapshot.read(candidates)
    wanted = (pc.field("run_id") == snapshot.run_id) & (pc.field("route") == "accept")
    accepted = delta_table.read(snapshot.candidates, where=wanted).to_pylist()
    votes = votes_of(store, snapshot.run_id)
    lexicon = lexicon_of(observed.read(votes.interactions), [row["correction"] for row in accepted])
    mined = preference_pairs.mine(accepted, rated_interactions(votes), lexicon)
    write(mined.pairs, pairs, {"candidates": snapshot.model_dump(mode="json")})
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
        {"pairs": mined.pairs.num_rows, **{f"pairs_{kind}": count for kind, count in mined.evidence().items()}},
        {"evidence": mined.evidence()},
    )

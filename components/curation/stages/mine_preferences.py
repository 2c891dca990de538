"""Write the preference pairs of a run."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.contracts.tables import CandidateSnapshot, FeedbackSnapshot
from flywheel.components.curation.duplicates.spilled_rows import SpilledRows
from flywheel.components.curation.preferences.evidence import OF_CANDIDATE
from flywheel.components.curation.preferences.supporters import Supporters, key_of
from flywheel.components.curation.stages import signals
from flywheel.components.curation.stages.files import writer
from flywheel.components.curation.stages.records import record
from flywheel.components.curation.stages.votes import lexicon_in, rated_batches, votes_of
from flywheel.components.store import delta_table, observed
from flywheel.components.store.tables import ID_COLUMN, SCHEMAS

_INTERACTIONS = ["interaction_id", "messages", "prompt", "response", "language", "consent"]
_SIGNALS = ["feedback_id", "interaction_id", "subject", "timestamp", "kind", "text", "source"]
_WHOSE = ("interaction_id", "subject")
_OF_CORRECTION = [*_WHOSE, "messages", "prompt", "correction"]
_ROWS = 512  # as Python's objects at once
ERROR_RATE = (
    "a pair of votes is right with the belief in its column `weight`, if users err independently; no pair rests on "
    "length alone, none contradicts another, and one user alone stands behind at most {share:.0%} of them, or 5"
)


def mine_preferences(
    candidates: str, pairs: str, rated: str, store: str, run_id: str, max_share_per_subject: float = 0.02
) -> StepRecord:
    """Write the preference pairs of a run, and the rated answers that need no pair.

    The candidates and the log stream. What is needed of them lies in temporary files, as the pairs do until they are
    written: together about three times the texts of the accepted candidates and rated interactions. In memory lie some
    hundred bytes for each rating, correction and pair, and what was said about one question.

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
    from flywheel.components.curation.preferences.pair import SCHEMA as PAIRS
    from flywheel.components.curation.preferences.rated_answers import SCHEMA as RATED

    started = datetime.now(UTC)
    snapshot = CandidateSnapshot.read(candidates)
    votes = votes_of(store, snapshot.run_id)
    lexicon = lexicon_in(votes.interactions, (row["correction"] for row in _accepted(snapshot, ["correction"])))
    notes = {"candidates": snapshot.model_dump(mode="json")}
    accepted, voted = _accepted(snapshot, OF_CANDIDATE), chain.from_iterable(rated_batches(votes))
    with (
        _supporters(votes) as behind,
        preference_pairs.mine(accepted, voted, lexicon, behind, max_share_per_subject) as mined,
    ):
        for path, schema, rows in ((pairs, PAIRS, mined.pairs), (rated, RATED, mined.rated)):
            with writer(path, schema, notes) as file:
                for table in rows.tables():
                    file.write(table)
    kept, liked = len(mined.pairs), mined.rated.liked
    disliked = len(mined.rated) - liked
    return record(
        "mine_preferences",
        run_id,
        started,
        RowCounts(
            rows_in=mined.considered,
            accepted=kept,
            duplicates=mined.duplicates,
            quarantined=mined.dropped,
        ),
        {
            "pairs": kept,
            **{f"pairs_{kind}": count for kind, count in mined.pairs.evidence().items()},
            "rated_liked": liked,
            "rated_disliked": disliked,
        },
        {
            "evidence": mined.pairs.evidence(),
            "left_out": mined.dropped,
            "rated": {"liked": liked, "disliked": disliked},
            "error_rate": ERROR_RATE.format(share=max_share_per_subject),
        },
    )


def _accepted(snapshot: CandidateSnapshot, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The accepted candidates of the run, streamed; of several with one id the first."""
    name = ID_COLUMN["candidates"]
    wanted = (pc.field("run_id") == snapshot.run_id) & (pc.field("route") == "accept")
    filtered = {name, "run_id", "route"}
    ids = [batch.filter(wanted)[name] for batch in delta_table.batches(snapshot.candidates, sorted(filtered))]
    if pc.count_distinct(found := pa.chunked_array(ids, pa.string())).as_py() < len(found):
        yield from delta_table.read(snapshot.candidates, list(columns), wanted).to_pylist()
        return
    del ids, found
    for batch in delta_table.batches(snapshot.candidates, sorted(filtered.union(columns))):
        rows = pa.Table.from_batches([batch]).filter(wanted).select(list(columns))
        for start in range(0, rows.num_rows, _ROWS):
            yield from rows.slice(start, _ROWS).to_pylist()


def _supporters(snapshot: FeedbackSnapshot) -> Supporters:
    """Who gave each correction to each question, with the feedback row."""
    from flywheel.components.curation import corrections
    from flywheel.components.curation.preferences.answers import question_of
    from flywheel.components.curation.texts.normal_form import normal_form

    said = [pa.schema(map(SCHEMAS["feedback"].field, signals.COLUMNS)).empty_table()]

    def given() -> Iterator[pa.Table]:
        for batch in observed.batches(snapshot.feedback, _SIGNALS, pc.field("kind") == "correction"):
            said.append(batch.select(signals.COLUMNS))
            yield batch

    behind = Supporters()
    with SpilledRows(corrections.SCHEMA) as rows:
        corrections.gather(given(), observed.batches(snapshot.interactions, _INTERACTIONS), rows)
        order = [(name, "ascending") for name in ("timestamp", "interaction_id", "subject")]  # that of the rows
        latest = signals.latest(pa.concat_tables(said)).sort_by(order)
        ids = chain.from_iterable(batch.to_pylist() for batch in latest.to_batches(_ROWS))
        for batch in rows.batches(_OF_CORRECTION):
            found = batch.to_pylist()
            behind.add(
                [key_of(question_of(row), normal_form(row["correction"])) for row in found],
                [next(one for one in ids if all(one[name] == row[name] for name in _WHOSE)) for row in found],
            )
    return behind.finish()

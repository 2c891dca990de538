"""The import as a step of a run: answers in, the version of `reviews` to go by, and how far reviewers agree."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.components.contracts.tables import TableReference
from flywheel.components.curation.review import csv_queue, reviewed
from flywheel.components.curation.review.decisions import REJECT, Answer, standing
from flywheel.components.curation.review.importing import Imported, take_in
from flywheel.components.curation.review.label_studio import PROJECT, LabelStudioQueue
from flywheel.components.statistics.reviewer_agreement import Agreement, by_reviewer, krippendorff_alpha
from flywheel.components.store import delta_table, lineage

STEP = reviewed.IMPORT_STEP


def import_reviews(
    store: str,
    run_id: str,
    *,
    queue: str = "",
    reviewer: str = "",
    url: str = "",
    project: str = PROJECT,
    token_variable: str = "",
) -> StepRecord:
    """Take in answers from a CSV file, from Label Studio, from both or from none, and pin the version of `reviews`.

    A run that imported before keeps its version: what people answered meanwhile is for the next run.

    Args:
        store: URI of the feedback store.
        run_id: Run.
        queue: Answered CSV file; "" for none.
        reviewer: Who answered the rows of the file that name nobody.
        url: Label Studio; "" for none.
        project: Title of the project there.
        token_variable: NAME of the environment variable with its token.

    Returns:
        The record; rows in = answers and empty rows given.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no review queue, or a parameter is not valid.
        ReviewError: Label Studio cannot be used.
        StoreError: The store cannot be used.
    """
    earlier = [record for record in lineage.steps(store, run_id) if record.step == STEP]
    if earlier:
        return earlier[0]
    started = datetime.now(UTC)
    taken: list[Imported] = []
    empty = skipped = 0
    if queue:
        answers, empty = csv_queue.read(queue, reviewer)
        taken.append(take_in(store, run_id, answers, "csv", Path(queue).name))
    if url:
        pulled = LabelStudioQueue(url, token_variable, project).pull()
        empty, skipped = empty + pulled.unanswered, pulled.skipped
        taken.append(take_in(store, run_id, pulled.answers, "label-studio", project, pulled.candidates))
    version = taken[-1].reviews if taken else delta_table.latest(store, "reviews")
    quarantined: dict[str, int] = {}
    for one in taken:
        for reason, count in one.quarantined.items():
            quarantined[reason] = quarantined.get(reason, 0) + count
    new, already = sum(one.new for one in taken), sum(one.already_there for one in taken)
    said, alpha = agreement(version)
    counts = dict.fromkeys(("accept", "reject", "tie"), 0)
    for decision in said.decisions.values():
        counts[decision.verdict] += 1
    metrics = {
        "reviews_new": new,
        "reviews_there_already": already,
        "reviews_withdrawn": sum(one.withdrawn for one in taken),
        "quarantined": sum(quarantined.values()),
        **{f"decided_{verdict}": count for verdict, count in counts.items()},
        **({"agreement_alpha": alpha.alpha} if alpha.alpha is not None else {}),
    }
    return StepRecord(
        run_id=run_id,
        step=STEP,
        started_at=started,
        finished_at=datetime.now(UTC),
        rows=RowCounts(
            rows_in=new + already + sum(quarantined.values()) + empty + skipped,
            accepted=new,
            duplicates=already,
            in_review=empty + skipped,
            quarantined=quarantined,
        ),
        outcome=f"{new} new reviews; people decided on {sum(counts.values())} contents",
        metrics={name: float(value) for name, value in metrics.items()},
        details={
            "reviews": version.model_dump(mode="json"),
            "decisions": counts,
            "agreement": asdict(alpha),
            "skipped": skipped,
            "unanswered": empty,
            "first_faults": [fault for one in taken for fault in one.first_faults],
        },
    )


def agreement(version: TableReference) -> tuple[reviewed.Reviewed, Agreement]:
    """What people decided as of a version, and how far they agreed beyond chance on verdict and category."""
    said = reviewed.read(version)
    answers = {
        content: {one.reviewer: _label(one) for one in given} for content, given in standing(said.answers).items()
    }
    return said, krippendorff_alpha(by_reviewer(answers))


def _label(answer: Answer) -> str:
    return REJECT if answer.verdict == REJECT else answer.category

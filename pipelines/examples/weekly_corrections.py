"""A platform team's own pipeline: two components of the collection and one of the team's.

Intake and duplicate removal are ours; what the team wants on top, the corrections of each week by language, is a
component of its own on an image of its own.
"""

from kfp import dsl

from flywheel.components.curation.component import deduplicate_feedback
from flywheel.components.intake.component import intake_feedback

TEAM_IMAGE = "python:3.12.8"


@dsl.component(base_image=TEAM_IMAGE, packages_to_install=["pyarrow>=20"])
def count_corrections(kept: dsl.Input[dsl.Dataset], table: dsl.Output[dsl.Markdown]) -> int:
    """Count the corrections of each week by language.

    Args:
        kept: Parquet file of `deduplicate_feedback`.
        table: The counts.

    Returns:
        Corrections in all.
    """
    from collections import Counter

    from pyarrow import parquet

    rows = parquet.read_table(kept.path, columns=["timestamp", "language", "correction"]).to_pylist()
    rows = [row for row in rows if row["correction"]]
    counts = Counter((row["timestamp"].strftime("%G-W%V"), row["language"]) for row in rows)
    lines = ["| week | language | corrections |", "|---|---|---:|"]
    lines += [f"| {week} | {language} | {count} |" for (week, language), count in sorted(counts.items())]
    with open(table.path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return len(rows)


@dsl.pipeline(name="weekly-corrections", description="A team's pipeline with two components of the collection.")
def weekly_corrections(logs: str, store: str, run_id: str) -> int:
    """Bring in a log and count what users corrected.

    Args:
        logs: File, folder, glob or URI of feedback logs.
        store: URI of the feedback store.
        run_id: Identity of the run.

    Returns:
        Corrections that are left after duplicates are out.
    """
    intake = intake_feedback(logs=logs, store=store, run_id=run_id)
    unique = deduplicate_feedback(feedback=intake.outputs["feedback"], store=store, run_id=run_id)
    counted = count_corrections(kept=unique.outputs["kept"])
    return counted.outputs["Output"]

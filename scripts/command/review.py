"""`flywheel review`: people decide on candidates, in a spreadsheet or in Label Studio, and their word wins."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Human review of candidates: export a queue, import the answers.", no_args_is_help=True)

Store = Annotated[str, typer.Option(help="URI of the feedback store")]
Url = Annotated[str, typer.Option(help="Address of Label Studio; empty: a CSV file")]
Project = Annotated[str, typer.Option(help="Title of the project in Label Studio")]
TokenVariable = Annotated[str, typer.Option(help="NAME of the environment variable with Label Studio's token")]

_PROJECT = "Flywheel reviews"
_TOKEN = "FLYWHEEL_LABEL_STUDIO_TOKEN"


@app.command("export")
def export(
    store: Store,
    out: Annotated[Path, typer.Option(help="CSV file to write")] = Path("reviews.csv"),
    run: Annotated[str, typer.Option(help="Run whose candidates are meant; empty: the newest")] = "",
    url: Url = "",
    project: Project = _PROJECT,
    token_variable: TokenVariable = _TOKEN,
    limit: Annotated[int, typer.Option(help="Most requests; 0: no limit")] = 0,
) -> None:
    """Write the queue: a random audit first, then what the router sent to review."""
    from flywheel.components.curation.review.exporting import export, newest_candidates

    if out.exists():
        raise ValueError(f"{out} exists; it may hold answers already, so give another file or move it away")
    snapshot = newest_candidates(store, run)
    done = export(
        snapshot, str(out), snapshot.run_id, url=url, project=project, token_variable=token_variable, limit=limit
    )
    typer.echo(f"{out}: {done.outcome} (run {snapshot.run_id}); fill in verdict, and category or edited_correction")
    if url:
        counts = done.metrics
        typer.echo(
            f"{url}: {counts['tasks_added']:.0f} tasks added to {project!r}, {counts['tasks_there_already']:.0f} there"
        )


@app.command("import")
def import_(
    store: Store,
    queue: Annotated[str, typer.Argument(help="Answered CSV file; leave out with --url")] = "",
    reviewer: Annotated[str, typer.Option(help="Who answered the rows that name nobody; kept as a pseudonym")] = "",
    url: Url = "",
    project: Project = _PROJECT,
    token_variable: TokenVariable = _TOKEN,
) -> None:
    """Take answers in; the next run of the pipeline goes by them."""
    from flywheel.components.curation.review.import_step import import_reviews

    if not queue and not url:
        raise ValueError("give an answered CSV file, or --url of Label Studio")
    place = {"url": url, "project": project, "token_variable": token_variable}
    done = import_reviews(store, "flywheel-review-import", queue=queue, reviewer=reviewer, **place)
    count = done.metrics
    typer.echo(
        f"{count['reviews_new']:.0f} new reviews, {count['reviews_there_already']:.0f} there already, "
        f"{count['reviews_withdrawn']:.0f} withdrawn, {done.details['unanswered']} unanswered, "
        f"{done.details['skipped']} skipped, {count['quarantined']:.0f} refused"
    )
    for fault in done.details["first_faults"]:
        typer.echo(f"  refused: {fault}")
    _decided(done.details["decisions"], done.details["agreement"])


@app.command("agreement")
def agreement(store: Store) -> None:
    """Print what people decided and how far they agree beyond chance."""
    from dataclasses import asdict

    from flywheel.components.curation.review.import_step import agreement
    from flywheel.components.store import delta_table

    said, alpha = agreement(delta_table.latest(store, "reviews"))
    counts = {
        verdict: sum(one.verdict == verdict for one in said.decisions.values())
        for verdict in ("accept", "reject", "tie")
    }
    _decided(counts, asdict(alpha))


def _decided(counts: dict[str, int], alpha: dict[str, float | None]) -> None:
    typer.echo(f"decided: {counts['accept']} accepted, {counts['reject']} rejected, {counts['tie']} tied")
    if alpha["alpha"] is None:
        typer.echo("agreement: not known before two reviewers answered differently about the same candidates")
    else:
        ends = f" [{alpha['low']:.2f}, {alpha['high']:.2f}]" if alpha["low"] is not None else ""
        typer.echo(f"agreement: Krippendorff's alpha {alpha['alpha']:.2f}{ends} over {alpha['units']} candidates")

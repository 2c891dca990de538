"""`flywheel privacy audit` and `flywheel privacy rotate-key`."""

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="What scrubbing misses, and the key of the pseudonyms.", no_args_is_help=True)


@app.callback()
def privacy() -> None:
    """What scrubbing misses, and the key of the pseudonyms."""


@app.command("audit")
def audit(
    logs: Annotated[str, typer.Option(help="What intake gets: file, folder, glob or object-store URI; only read")],
    log_format: Annotated[str, typer.Option(help="As intake's")] = "auto",
    canaries: Annotated[int, typer.Option(min=1, help="Canaries of each type")] = 200,
    rows: Annotated[int, typer.Option(min=1, help="Most rows of the logs to put them in")] = 400,
    least: Annotated[str, typer.Option(help="Thresholds that differ, as card=0.9,street_address=0")] = "",
    seed: Annotated[int, typer.Option(help="The same seed gives the same audit")] = 7,
    locales: Annotated[str, typer.Option(help="all, tuning or unseen: whether patterns were tuned on them")] = "all",
    output: Annotated[Path | None, typer.Option(help="Also write the audit as JSON")] = None,
) -> None:
    """Put made-up personal data into a sample of the logs, run intake, search what it stored; exit 1 on leaks."""
    from flywheel.components.intake.privacy_audit import gate, report
    from flywheel.components.intake.privacy_audit import locales as lists
    from flywheel.components.intake.privacy_audit.audit import audit as core

    thresholds = gate.parse_least(least)
    choices = {"all": lists.ALL, "tuning": lists.TUNING, "unseen": lists.UNSEEN}
    if locales not in choices:
        raise ValueError(f"--locales {locales!r} is none of {', '.join(choices)}")
    result = core(logs, log_format, seed=seed, canaries=canaries, rows=rows, names=choices[locales])
    typer.echo(report.markdown(result, thresholds))
    if output is not None:
        output.write_text(json.dumps(report.document(result, thresholds), indent=2), encoding="utf-8")
    stopped = gate.failing(result, thresholds)
    if stopped:
        typer.echo("leaks: " + "; ".join(stopped.values()), err=True)
        raise typer.Exit(1)


@app.command("rotate-key")
def rotate_key(
    store: Annotated[str, typer.Option(help="Feedback store: local folder or object-store URI")],
    keys_given: Annotated[
        bool, typer.Option("--keys-given", help="The new key is there already: only carry the rows on")
    ] = False,
) -> None:
    """Change the key of the pseudonyms: people stay linkable, rows of before get the new pseudonyms."""
    from datetime import UTC, datetime

    from flywheel.components.intake.key_rotation import rotate
    from flywheel.components.store import lineage

    done = rotate(store, new_key=not keys_given)
    lineage.record_step(store, done.record(f"rotate-key-{datetime.now(UTC):%Y%m%dT%H%M%S}"))
    for table, count in done.rows.items():
        typer.echo(f"{table}: {count} rows of {done.subjects[table]} people carried on")
    typer.echo(f"key {done.key_id} is in use; keep the older keys beside it")

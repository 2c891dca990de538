"""`flywheel verdict recompute`: the same verdict again from the stored per-item scores."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Verdicts of the gauntlet.", no_args_is_help=True)


@app.command("recompute")
def recompute(
    stored: Annotated[Path, typer.Argument(help="Verdict document of a run")],
    scores: Annotated[Path, typer.Argument(help="Per-item scores of the same run")],
    spec: Annotated[str, typer.Option(help="Gauntlet spec that was used; default: the packaged one")] = "",
) -> None:
    """Recompute a verdict from its scores and compare byte by byte; exit 1 when they differ."""
    from flywheel.components.contracts.verdict import Verdict
    from flywheel.components.evaluation.verdict import recompute as core

    before = Verdict.read(stored)
    again = core.recompute(scores, spec or None, before.run_id)
    if again.to_json().encode() != stored.read_bytes():
        typer.echo(f"differs: stored {before.decision.value}, recomputed {again.decision.value}")
        typer.echo(again.to_json())
        raise typer.Exit(1)
    typer.echo(f"equal, byte by byte: {again.decision.value} ({', '.join(again.reasons)})")

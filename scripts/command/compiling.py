"""`flywheel compile`: the pipelines as IR YAML for a cluster."""

from pathlib import Path
from typing import Annotated

import typer


def compile_pipelines(
    output: Annotated[Path | None, typer.Option(help="Folder to write to; default: pipelines/compiled")] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 when the files differ")] = False,
) -> None:
    """Compile every pipeline to KFP IR YAML, byte-stable."""
    from flywheel.pipelines import compile as compiler

    folder = output or compiler.COMPILED
    if check:
        stale = compiler.drifted(folder)
        if stale:
            typer.echo(f"compiled pipelines differ from their source: {', '.join(stale)}; run `flywheel compile`")
            raise typer.Exit(1)
        typer.echo(f"{len(list(folder.glob('*.yaml')))} compiled pipelines are up to date")
        return
    for path in compiler.compile_all(folder):
        typer.echo(str(path))

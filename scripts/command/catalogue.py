"""`flywheel catalogue`: every component as its own YAML, and its page in the README of its room."""

from typing import Annotated

import typer


def catalogue(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 when something differs")] = False,
) -> None:
    """Compile every component by itself and write its page into components/<room>/README.md."""
    from flywheel.pipelines import component_pages, components

    if check:
        stale = [*components.drifted(), *component_pages.drifted()]
        if stale:
            typer.echo(f"out of date: {', '.join(stale)}; run `flywheel catalogue`")
            raise typer.Exit(1)
        typer.echo(f"{len(components.components())} components and their pages are up to date")
        return
    for path in [*components.compile_components(), *component_pages.write()]:
        typer.echo(str(path))

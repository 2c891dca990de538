"""`flywheel compile`: the pipelines as IR YAML, and as versioned resources for a cluster that is deployed by Git."""

import subprocess
from pathlib import Path
from typing import Annotated

import typer


def compile_pipelines(
    output: Annotated[Path | None, typer.Option(help="Folder of the IR YAML; default: pipelines/compiled")] = None,
    resources: Annotated[
        Path | None, typer.Option(help="Folder of the Pipeline and PipelineVersion files; default: manifests/pipelines")
    ] = None,
    commit: Annotated[
        str, typer.Option(help="Commit of the sources to name; default: HEAD when the sources are committed")
    ] = "",
    source: Annotated[str, typer.Option(help="Address of the repository, for codeSourceURL")] = "",
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 when the files differ")] = False,
    release: Annotated[bool, typer.Option("--release", help="Record the interfaces as released")] = False,
) -> None:
    """Compile every pipeline to KFP IR YAML and to Pipeline/PipelineVersion resources, byte-stable.

    Refuses an interface that breaks callers of the last release without a new major version.
    """
    from flywheel.components import images
    from flywheel.pipelines import compile as compiler
    from flywheel.pipelines import custom_resources, interface

    folder, place = output or compiler.COMPILED, resources or custom_resources.FOLDER
    if check:
        stale = compiler.drifted(folder)
        stale += custom_resources.missing(folder, place, images.VERSION)
        if stale:
            typer.echo(f"compiled pipelines differ from their source: {'; '.join(stale)}; run `flywheel compile`")
            raise typer.Exit(1)
    else:
        for path in compiler.compile_all(folder):
            typer.echo(str(path))
    now = interface.release_of(images.VERSION, folder)
    before = interface.last_release()
    broken = interface.incompatible(before, now) if before else []
    if before and broken:
        lines = "\n  ".join(broken)
        typer.echo(f"callers of {before.version} would break; set a new major version in pyproject.toml:\n  {lines}")
        raise typer.Exit(1)
    if check:
        against = f"keep the interface of {before.version}" if before else "have no released interface to keep"
        typer.echo(f"{len(now.pipelines)} compiled pipelines are up to date and {against}")
        return
    origin = custom_resources.Origin(images.VERSION, commit or _commit(), source or custom_resources.SOURCE)
    for path in custom_resources.write(folder, place, origin):
        typer.echo(str(path))
    if release:
        target = interface.RELEASED / f"{now.version}.json"
        now.write(target)
        typer.echo(str(target))


def _commit() -> str:
    """HEAD when the sources of the pipelines are committed; "" otherwise, or outside Git."""
    from flywheel.pipelines import compile as compiler

    root = compiler.COMPILED.parents[1]
    parts = ["components", "pipelines", ":!pipelines/compiled"]
    try:
        changed = subprocess.run(
            ["git", "-C", str(root), "status", "--porcelain", "--", *parts], capture_output=True, text=True, check=True
        ).stdout
        head = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):  # no Git here, as in a wheel: the version's tag stands for it
        return ""
    return "" if changed else head.strip()

"""`flywheel gauntlet plan`: are there enough items, before anything is answered?"""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The gauntlet that a candidate runs against production.", no_args_is_help=True)


@app.callback()
def gauntlet() -> None:
    """The gauntlet that a candidate runs against production."""


@app.command("plan")
def plan(
    items: Annotated[Path, typer.Option(help="Evaluation items: JSON lines, as `--golden` takes them")],
    spec: Annotated[str, typer.Option(help="Gauntlet spec (YAML); default: the packaged one")] = "",
) -> None:
    """Print what every metric has and needs; exit 1 when the gauntlet would be underpowered."""
    from flywheel.components.evaluation.items import read_items
    from flywheel.components.evaluation.verdict.plan import plan as core
    from flywheel.components.evaluation.verdict.plan import plan_text
    from flywheel.components.evaluation.verdict.spec import read_spec

    planned = core(read_items(items), read_spec(spec))
    typer.echo(plan_text(planned))
    if not all(one.enough for one in planned):
        raise typer.Exit(1)

"""`flywheel registry list|show|rollback`: what serves, what served, and back again."""

import getpass
import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(help="Model versions, their lineage and their aliases.", no_args_is_help=True)

Address = Annotated[
    str,
    typer.Option("--registry", "-r", envvar="FLYWHEEL_REGISTRY", help="A path or URI, as sqlite:///runs/x/registry.db"),
]
Name = Annotated[str, typer.Option("--model-name", "-m", help="Name of the model in the registry")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs")]


@app.command("list")
def list_versions(
    registry: Address,
    model_name: Annotated[str, typer.Option("--model-name", "-m", help="Only this model")] = "",
    as_json: AsJson = False,
) -> None:
    """List the versions with their aliases."""
    from flywheel.components.registry import overview

    versions = overview.list_versions(registry, model_name or None)
    if as_json:
        typer.echo(json.dumps(versions, indent=2))
    else:
        _print_versions(versions)


@app.command("show")
def show(registry: Address, model_name: Name = "assistant", as_json: AsJson = False) -> None:
    """Show a model: aliases, versions, and every move of an alias with who and why."""
    from flywheel.components.registry import overview

    model = overview.show(registry, model_name)
    if as_json:
        typer.echo(json.dumps(model, indent=2))
        return
    _print_versions(model["versions"])
    history = Table("at", "what", "version", "who", "why", title="History")
    for event in model["history"]:
        what = event["kind"] if not event.get("alias") else f"alias {event['alias']}"
        history.add_row(
            str(event["at"])[:19], what, str(event.get("version") or "-"), event.get("who", ""), event.get("reason", "")
        )
    Console().print(history)


@app.command("rollback")
def rollback(
    registry: Address,
    reason: Annotated[str, typer.Option(help="Why; kept in the audit trail")],
    model_name: Name = "assistant",
    version: Annotated[int | None, typer.Option(help="Version to go back to [default: the previous one]")] = None,
) -> None:
    """Make the previous production version production again."""
    from flywheel.components.registry import overview

    chosen = overview.roll_back(registry, model_name, getpass.getuser(), reason, version)
    typer.echo(f"{model_name} version {chosen['version']} is production again")


def _print_versions(versions: list[dict[str, Any]]) -> None:
    table = Table("model", "version", "aliases", "digest", "verdict", "run", "dataset", title="Versions")
    for one in versions:
        table.add_row(
            one["name"],
            str(one["version"]),
            ", ".join(one["aliases"]),
            one["digest"][:12],
            str(one.get("decision") or one.get("verdict") or "-"),
            one.get("run_id") or "-",
            (one.get("dataset_digest") or "-")[:12],
        )
    Console().print(table)

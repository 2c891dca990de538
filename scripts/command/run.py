"""`flywheel run`: one turn of the loop on this machine, on the small world or on the user's own data."""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from flywheel.scripts.command.pipeline_process import run_pipeline
from flywheel.scripts.command.step_display import StepDisplay

ROOT = Path(__file__).resolve().parents[2]


class Story(StrEnum):
    """A story of the small world."""

    GOOD = "good"
    HARMFUL = "harmful"
    AMBIGUOUS = "ambiguous"


Optional = Annotated[Path | None, typer.Option()]


def run(
    story: Annotated[Story | None, typer.Option(help="Story of the small world [default: good]")] = None,
    logs: Annotated[str, typer.Option(help="Your feedback logs: file, folder, glob or URI")] = "",
    model: Annotated[str, typer.Option(help="Your production model: a folder with safetensors and tokenizer")] = "",
    golden: Annotated[str, typer.Option(help="Your evaluation items (JSON lines)")] = "",
    replay: Annotated[str, typer.Option(help="Your original training data (JSON lines) to blend in")] = "",
    traffic: Annotated[str, typer.Option(help="Simulated users for the canary (JSON lines)")] = "",
    labels: Annotated[str, typer.Option(help="Your labelled corrections (JSON lines)")] = "",
    log_format: Annotated[str, typer.Option(help="Format of the logs")] = "auto",
    store: Annotated[str, typer.Option(help="Feedback store [default: in the run's folder]")] = "",
    registry: Annotated[str, typer.Option(help="Model registry [default: in the run's folder]")] = "",
    run_id: Annotated[str, typer.Option(help="Name of the run; the same name again continues it")] = "",
    runs: Annotated[Path, typer.Option(help="Folder that holds the runs")] = ROOT / "runs",
    seed: Annotated[int, typer.Option(help="Seed of every random choice")] = 7,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Pipeline parameter, KEY=VALUE; may be given again")
    ] = None,
) -> None:
    """Turn the flywheel once and say what was decided.

    Exit code 0: the loop did its work, whatever the verdict. 1: a step failed. 2: the command line is wrong.
    """
    if bool(logs) != bool(model):
        raise ValueError("your own data needs both --logs FILE and --model PATH")
    if logs and story:
        raise ValueError("give either --story, or your own --logs and --model, not both")
    chosen = (story or Story.GOOD).value
    name = run_id or f"{'logs' if logs else chosen}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    if Path(name).name != name or name.startswith("."):
        raise ValueError(f"--run-id {name!r} must be a plain folder name")
    given = parse_settings(settings or [])
    folder = runs.resolve() / name
    console = Console(highlight=False)
    console.print(f"[bold]flywheel[/] run {name}")
    began = time.monotonic()
    if logs:
        parameters: dict[str, Any] = {
            "logs": _absolute(logs),
            "production_model": _absolute(model),
            "golden": _absolute(golden),
            "replay_data": _absolute(replay),
            "traffic": _absolute(traffic),
            "labels": _absolute(labels),
            "log_format": log_format,
        }
    else:
        parameters = _small_world(console, chosen, seed, folder / "world", runs.resolve() / ".cache")
    parameters |= {
        "store": store or str(folder / "store"),
        "registry": registry or f"sqlite:///{folder / 'registry.db'}",
        "run_id": name,
        "alerts": str(folder / "alerts.jsonl"),
        "report_file": str(folder / "report.html"),
        "seed": seed,
    }
    parameters |= given
    with StepDisplay(console, parameters["store"], name) as display:
        code = run_pipeline("flywheel", parameters, folder, display.follow)
    raise typer.Exit(_conclude(console, folder, parameters, display.failure, code, time.monotonic() - began))


def world(
    out: Annotated[Path, typer.Option(help="Folder to write to")],
    story: Annotated[Story, typer.Option(help="Story of the small world")] = Story.GOOD,
    seed: Annotated[int, typer.Option(help="Seed of every random choice")] = 7,
) -> None:
    """Make the small world's files (logs, model, golden items, users) without running anything."""
    parameters = _small_world(Console(highlight=False), story.value, seed, out.resolve(), ROOT / "runs" / ".cache")
    typer.echo(json.dumps(parameters, indent=2))


def _small_world(console: Console, story: str, seed: int, folder: Path, cache: Path) -> dict[str, Any]:
    """Build the world in a process of its own, so that this one stays small while the pipeline runs."""
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "flywheel.scripts.small_world", "--story", story, "--seed", str(seed)]
    command += ["--out", str(folder), "--cache", str(cache)]
    waiting = "making the small world (trains its production model on first use)"
    last = ""
    with (folder / "build.log").open("w", encoding="utf-8") as log, console.status(waiting) as status:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            for line in process.stdout or ():
                last = line.strip()
                status.update(f"{waiting}: {last[:60]}")
        except BaseException:
            process.kill()
            raise
        if process.wait() != 0:
            raise ValueError(f"the small world could not be made; the log is in {log.name}")
    made = json.loads(last)
    console.print(f"  [green]✓[/] [bold]{'small world':<24}[/][dim]{time.monotonic() - began:6.1f} s[/]  {story}")
    return {
        "logs": made["logs"],
        "production_model": made["production"],
        "golden": made["golden"],
        "replay_data": made["replay"],
        "traffic": made["traffic"],
        "labels": made["labels"],
        **made["parameters"],
    }


def _absolute(address: str) -> str:
    return address if not address or "://" in address else str(Path(address).expanduser().absolute())


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """Read `KEY=VALUE` words as pipeline parameters of the type that the pipeline declares.

    Args:
        settings: Words such as `min_candidates=50`.

    Returns:
        Parameters.

    Raises:
        ValueError: A word is malformed, names no parameter, or its value has the wrong type.
    """
    from flywheel.pipelines import catalogue

    inputs = catalogue.load("flywheel").component_spec.inputs
    readers = {"NUMBER_INTEGER": int, "NUMBER_DOUBLE": float, "STRING": str, "Integer": int, "Float": float}
    parameters = {}
    for word in settings:
        key, equals, value = word.partition("=")
        if not equals or key not in inputs:
            raise ValueError(f"--set {word!r}: give KEY=VALUE with one of {', '.join(sorted(inputs))}")
        try:
            parameters[key] = readers.get(inputs[key].type, str)(value)
        except ValueError as error:
            raise ValueError(f"--set {word!r}: {key} takes a {inputs[key].type.lower()}") from error
    return parameters


def _conclude(
    console: Console,
    folder: Path,
    parameters: dict[str, Any],
    failure: tuple[str, str] | None,
    code: int,
    seconds: float,
) -> int:
    """Print the summary; the last two lines are the decision and where the report is."""
    from flywheel.scripts.command.summary import print_summary

    report = folder / "report.html"
    if failure is not None or code != 0:
        step, message = failure or ("the pipeline", "")
        console.print(f"\n[bold red]failed[/] at {step} after {seconds:.0f} s")
        if message:
            console.print(message, markup=False)
        console.print(f"log: {folder / 'pipeline.log'}", soft_wrap=True)
        if report.exists():
            console.print(f"report: {report}", soft_wrap=True)
        return 1
    outcome = print_summary(
        console,
        parameters["store"],
        parameters["registry"],
        parameters.get("model_name", "assistant"),
        parameters["run_id"],
    )
    console.print(f"\n[dim]took {seconds:.0f} s[/]")
    console.print(f"decision: [bold]{outcome.decision}[/] - {outcome.reason}", soft_wrap=True)
    console.print(f"report: {report}", soft_wrap=True)
    return 0

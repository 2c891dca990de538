"""The `flywheel` command."""

import sys

import typer

from flywheel.scripts.command import (
    bench,
    catalogue,
    compiling,
    gauntlet,
    labels,
    preflight,
    privacy,
    registry,
    review,
    run,
    service,
    serving,
    verdict,
)

app = typer.Typer(
    name="flywheel",
    help="Turn user feedback into a better, safely released LLM.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("world")(run.world)
app.command("compile")(compiling.compile_pipelines)
app.command("catalogue")(catalogue.catalogue)
app.command("bench", context_settings={"ignore_unknown_options": True})(bench.bench)
app.command("preflight")(preflight.preflight)
app.command("submit")(service.submit)
app.command("schedule")(service.schedule)
app.command("watch")(service.watch)
app.command("runs")(service.list_runs)
app.command("serve-intake")(serving.serve_intake)
app.add_typer(registry.app, name="registry")
app.add_typer(verdict.app, name="verdict")
app.add_typer(gauntlet.app, name="gauntlet")
app.add_typer(labels.app, name="labels")
app.add_typer(privacy.app, name="privacy")
app.add_typer(review.app, name="review")


@app.callback()
def version() -> None:
    """Turn user feedback into a better, safely released LLM."""


def main() -> None:
    """Run the command; a refused input ends with its message and exit code 2, never with a traceback."""
    try:
        app()
    except Exception as error:
        ours = type(error).__module__.startswith("flywheel.")
        if not ours and not isinstance(error, ValueError | OSError | LookupError):
            raise  # a defect of ours: the traceback is wanted
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()

"""`flywheel bench`: benchmarks by name, each a module of `flywheel.scripts.benchmarks` with a `main(arguments)`."""

import importlib
import pkgutil
from typing import Annotated

import typer


def bench(
    name: Annotated[str, typer.Argument(help="Benchmark; none: list them")] = "",
    arguments: Annotated[list[str] | None, typer.Argument(help="Passed to the benchmark")] = None,
) -> None:
    """Run a benchmark and print its table."""
    from flywheel.scripts import benchmarks

    names = sorted(
        module.name
        for module in pkgutil.iter_modules(benchmarks.__path__)
        if not module.ispkg or hasattr(importlib.import_module(f"{benchmarks.__name__}.{module.name}"), "main")
    )
    if name not in names:
        for known in names:
            summary = (importlib.import_module(f"{benchmarks.__name__}.{known}").__doc__ or "").splitlines()[0]
            typer.echo(f"{known:<12} {summary}")
        if name:
            raise ValueError(f"there is no benchmark {name!r}; choose one of {', '.join(names)}")
        return
    raise typer.Exit(importlib.import_module(f"{benchmarks.__name__}.{name}").main(arguments or []))

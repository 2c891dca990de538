"""`flywheel submit | schedule | watch | runs`: our pipelines on a Kubeflow Pipelines service."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

Endpoint = Annotated[str, typer.Option(help="Address of the service; default: FLYWHEEL_KFP_ENDPOINT")]
Namespace = Annotated[str, typer.Option(help="Profile namespace of a multi-user installation")]
TokenFile = Annotated[str, typer.Option(help="File with a bearer token; default: FLYWHEEL_KFP_TOKEN, or none")]
CaFile = Annotated[str, typer.Option(help="Certificate authority of the server")]
Pairs = Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE; wins over the file; repeat for more")]
Params = Annotated[str, typer.Option(help="YAML or JSON file with parameters")]
Experiment = Annotated[str, typer.Option(help="Experiment; created when missing")]
Account = Annotated[str, typer.Option(help="Kubernetes service account of the pods")]


def submit(
    pipeline: Annotated[str, typer.Argument(help="Pipeline, for example flywheel")] = "flywheel",
    name: Annotated[str, typer.Option(help="Name of the run; the same name again is the same run")] = "",
    params: Params = "",
    pairs: Pairs = None,
    experiment: Experiment = "flywheel",
    label: Annotated[list[str] | None, typer.Option(help="KEY=VALUE; repeat for more")] = None,
    service_account: Account = "",
    version: Annotated[str, typer.Option(help="Version on the service; default: this content, uploaded if new")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Watch to the end; exit 1 when the run fails")] = False,
    endpoint: Endpoint = "",
    namespace: Namespace = "",
    token_file: TokenFile = "",
    ca_file: CaFile = "",
) -> None:
    """Submit a run; repeated with the same --name it makes no second one."""
    from flywheel.pipelines.service import parameters, runs, versions, watching
    from flywheel.pipelines.service.connection import Service

    compiled = _compiled(pipeline)
    values = parameters.read(params, pairs or [], compiled.interface)
    connection = Service.of(endpoint, namespace, token_file, ca_file).connect()
    if version:
        reference = versions.required(connection, compiled.name, version)
    else:
        reference = versions.ensure(connection, compiled)
    order = runs.Order(
        name=name or f"{compiled.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}",
        experiment=experiment,
        parameters=values,
        labels=_labels(label),
        service_account=service_account,
    )
    run, made = runs.submit(connection, order, reference)
    typer.echo(
        f"{'submitted' if made else 'already there'}: {run.name} ({run.state.lower()}), version {reference.version}"
    )
    typer.echo(f"id: {run.run_id}")
    if wait:
        raise typer.Exit(watching.watch(connection, run.run_id, typer.echo))


def schedule(
    pipeline: Annotated[str, typer.Argument(help="Pipeline, for example flywheel")] = "flywheel",
    cron: Annotated[str, typer.Option(help="Five fields, or six with seconds first; UTC")] = "",
    name: Annotated[str, typer.Option(help="Name of the schedule; default: the pipeline's")] = "",
    params: Params = "",
    pairs: Pairs = None,
    experiment: Experiment = "flywheel",
    service_account: Account = "",
    paused: Annotated[bool, typer.Option("--paused", help="Create it disabled")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the schedule")] = False,
    endpoint: Endpoint = "",
    namespace: Namespace = "",
    token_file: TokenFile = "",
    ca_file: CaFile = "",
) -> None:
    """Keep exactly one recurring run of a name, which always runs the newest version of the pipeline."""
    from flywheel.pipelines.service import parameters, schedules, versions
    from flywheel.pipelines.service.connection import Service

    compiled = _compiled(pipeline)
    title = name or compiled.name
    service = Service.of(endpoint, namespace, token_file, ca_file)
    if remove:
        typer.echo(f"removed {schedules.remove(service.connect(), title)} recurring run(s) named {title}")
        return
    line = schedules.six_fields(cron)
    values = parameters.read(params, pairs or [], compiled.interface)
    connection = service.connect()
    reference = versions.ensure(connection, compiled)
    wanted = schedules.Schedule(title, experiment, reference.pipeline_id, line, values, service_account, paused)
    identity, done = schedules.reconcile(connection, wanted)
    typer.echo(f"{done}: schedule {title} at `{line}`, newest version of {compiled.name}")
    typer.echo(f"id: {identity}")


def watch(
    run: Annotated[str, typer.Argument(help="Name or id of the run")],
    every: Annotated[float, typer.Option(help="Seconds between looks")] = 5.0,
    patience: Annotated[float, typer.Option(help="Seconds for which the service may be away")] = 600.0,
    longest: Annotated[float, typer.Option(help="Stop watching after so many seconds; 0: never")] = 0.0,
    endpoint: Endpoint = "",
    namespace: Namespace = "",
    token_file: TokenFile = "",
    ca_file: CaFile = "",
) -> None:
    """Follow a run to its end, through restarts of the service; exit 1 when it fails."""
    from flywheel.pipelines.service import runs, watching
    from flywheel.pipelines.service.connection import Service

    connection = Service.of(endpoint, namespace, token_file, ca_file).connect()
    found = runs.by_name_or_id(connection, run)
    raise typer.Exit(watching.watch(connection, found.run_id, typer.echo, every, patience, longest))


def list_runs(
    experiment: Annotated[str, typer.Option(help="Only of this experiment")] = "",
    label: Annotated[list[str] | None, typer.Option(help="Only with this KEY=VALUE; repeat for more")] = None,
    limit: Annotated[int, typer.Option(help="Most runs", min=1)] = 20,
    endpoint: Endpoint = "",
    namespace: Namespace = "",
    token_file: TokenFile = "",
    ca_file: CaFile = "",
) -> None:
    """List runs, newest first."""
    from rich.console import Console
    from rich.table import Table

    from flywheel.pipelines.service import runs
    from flywheel.pipelines.service.connection import Service

    connection = Service.of(endpoint, namespace, token_file, ca_file).connect()
    table = Table("name", "state", "created (UTC)", "labels", "id", box=None, pad_edge=False)
    for run in runs.listed(connection, experiment, limit, _labels(label)):
        created = run.created.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if run.created else ""
        table.add_row(
            run.name, run.state.lower(), created, " ".join(f"{k}={v}" for k, v in run.labels.items()), run.run_id
        )
    Console(width=None if table.row_count == 0 else 200).print(table)


def _compiled(pipeline: str) -> Any:
    from flywheel.components import images
    from flywheel.pipelines import catalogue
    from flywheel.pipelines.compile import COMPILED
    from flywheel.pipelines.service.versions import Compiled

    if pipeline not in catalogue.PIPELINES:
        raise ValueError(f"there is no pipeline {pipeline!r}; choose one of {', '.join(catalogue.PIPELINES)}")
    return Compiled.read(COMPILED / f"{pipeline.replace('-', '_')}.yaml", images.VERSION)


def _labels(pairs: list[str] | None) -> dict[str, str]:
    found = {}
    for pair in pairs or []:
        key, sign, value = pair.partition("=")
        if not sign or not key:
            raise ValueError(f"--label takes KEY=VALUE, got {pair!r}")
        found[key] = value
    return found

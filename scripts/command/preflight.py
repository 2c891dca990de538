"""`flywheel preflight`: would a run find everything that it needs?"""

import json
from typing import Annotated

import typer


def preflight(
    store: Annotated[str, typer.Option(help="URI of the feedback store")],
    registry: Annotated[str, typer.Option(help="Registry URI")],
    launcher: Annotated[str, typer.Option(help="local or trainjob")] = "local",
    cluster: Annotated[str, typer.Option(help="Options of trainjob, as JSON")] = "{}",
    driver: Annotated[str, typer.Option(help="local or kserve")] = "local",
    service: Annotated[str, typer.Option(help="InferenceService of kserve")] = "",
    namespace: Annotated[str, typer.Option(help="Namespace of the InferenceService; default: the context's")] = "",
    prometheus: Annotated[str, typer.Option(help="Address of Prometheus")] = "",
    kfp: Annotated[str, typer.Option(help="Address of the pipeline service")] = "",
    secret: Annotated[list[str] | None, typer.Option(help="Secret that must exist; repeat for more")] = None,
) -> None:
    """Look for everything that a run needs, before hours are spent; exit 1 when something is missing.

    Rights are asked for as the account of the present kubeconfig or pod: use the account that will run the steps.
    """
    from flywheel.components.preflight import reach, surroundings
    from flywheel.components.preflight.cluster.asked import asked_of

    try:
        options = json.loads(cluster)
    except ValueError as error:
        raise ValueError(f"--cluster is no JSON: {error}") from error
    if not isinstance(options, dict):
        raise ValueError('--cluster must be a JSON object, for example {"nodes": 2, "gpus_per_node": 8}')
    asked = asked_of(launcher, options, driver, service, namespace, tuple(secret or ()))
    found = surroundings.look(store, registry, prometheus, asked)
    if kfp:
        found.append(reach.endpoint("pipeline service", kfp, "/apis/v2beta1/healthz"))
    for finding in found:
        typer.echo(finding.line())
    missing = sum(finding.state == "missing" for finding in found)
    typer.echo(f"{len(found)} looked for, {missing} missing")
    raise typer.Exit(1 if missing else 0)

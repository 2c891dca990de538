"""`flywheel serve-intake`: the intake service in this process."""

from typing import Annotated

import typer


def serve_intake(
    store: Annotated[str, typer.Option(help="Feedback store: folder or object-store URI")],
    segments: Annotated[str, typer.Option(help="Folder of the segments; several processes may share it")],
    host: Annotated[str, typer.Option(help="Address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port", min=1, max=65535)] = 8080,
    insecure_no_auth: Annotated[bool, typer.Option("--insecure-no-auth", help="Let anyone in; loopback only")] = False,
    move_seconds: Annotated[float, typer.Option(help="Seconds between moves into the store", min=0.05)] = 15.0,
    join_seconds: Annotated[float, typer.Option(help="Seconds that half an inference waits for the rest")] = 3600.0,
    stop_seconds: Annotated[float, typer.Option(help="Seconds for the last move after SIGTERM", min=0)] = 45.0,
    max_body: Annotated[int, typer.Option(help="Largest request, bytes", min=1)] = 1 << 20,
    max_batch: Annotated[int, typer.Option(help="Most events in a request", min=1)] = 1000,
    max_queue: Annotated[int, typer.Option(help="Most events read and not durable", min=1)] = 4096,
    max_unmoved: Annotated[int, typer.Option(help="Most bytes durable and not in the store", min=1)] = 1 << 30,
    rate: Annotated[float, typer.Option(help="Events per second of a sender without its own; 0: no limit")] = 0.0,
) -> None:
    """Take on events and feedback over HTTP: scrub, make durable, acknowledge, move into the store.

    Who may send: FLYWHEEL_INTAKE_KEYS_FILE, FLYWHEEL_INTAKE_OIDC_ISSUER with FLYWHEEL_INTAKE_OIDC_AUDIENCE. The key of
    the pseudonyms: FLYWHEEL_PSEUDONYM_KEY. SIGTERM: flush, move what can be moved, exit 0.
    """
    from flywheel.components.intake.service.server import serve
    from flywheel.components.intake.service.settings import Limits, Settings

    limits = Limits(
        body_bytes=max_body, batch_items=max_batch, queue_events=max_queue, unmoved_bytes=max_unmoved, rate=rate
    )
    settings = Settings.from_environment(
        segments,
        store,
        host,
        port,
        no_auth=insecure_no_auth,
        limits=limits,
        move_seconds=move_seconds,
        join_seconds=join_seconds,
        stop_seconds=stop_seconds,
    )
    raise typer.Exit(serve(settings))

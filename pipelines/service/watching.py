"""Follow a run to its end, through restarts of the service."""

import time
from collections.abc import Callable
from typing import Any

from flywheel.pipelines.service.connection import Connection
from flywheel.pipelines.service.errors import UnauthorizedError, UnreachableError
from flywheel.pipelines.service.runs import ENDED


def watch(
    connection: Connection,
    run_id: str,
    tell: Callable[[str], None],
    every: float = 5.0,
    patience: float = 600.0,
    longest: float = 0.0,
) -> int:
    """Tell what changes until the run has ended.

    Args:
        connection: The service.
        run_id: The run.
        tell: Receives lines.
        every: Seconds between looks.
        patience: Seconds for which the service may be away (restart, expired token that is being rotated).
        longest: Seconds after which to stop watching; 0: never. The run goes on.

    Returns:
        0 when it succeeded, 1 when it failed or was cancelled.

    Raises:
        UnreachableError: The service was away for longer than `patience`, or `longest` passed.
        MissingError: There is no such run.
    """
    seen: dict[str, str] = {}
    begun, last_answer, away = time.monotonic(), time.monotonic(), False
    while True:
        try:
            run = connection.write("look at the run", connection.client.get_run, run_id)
        except (UnreachableError, UnauthorizedError) as error:
            if time.monotonic() - last_answer > patience:
                raise
            if not away:
                tell(f"the service is away, waiting up to {patience:.0f} s: {error}")
            away = True
            time.sleep(every)
            continue
        if away:
            tell("the service is back")
        away, last_answer = False, time.monotonic()
        for name, state, words in _tasks(run):
            if seen.get(name) != state:
                seen[name] = state
                tell(f"{state.lower():<10} {name}{f': {words}' if words else ''}")
        state = str(run.state or "PENDING")
        if state in ENDED:
            words = f": {run.error.message}" if run.error and run.error.message else ""
            tell(f"{state.lower():<10} {run.display_name}{words}")
            return ENDED[state]
        if longest and time.monotonic() - begun > longest:
            raise UnreachableError(f"run {run.display_name} is still {state.lower()} after {longest:.0f} s; it goes on")
        time.sleep(every)


def _tasks(run: Any) -> list[tuple[str, str, str]]:
    details = run.run_details.task_details if run.run_details else None
    tasks = []
    for task in sorted(
        details or [], key=lambda one: (str(one.start_time or one.create_time or ""), str(one.display_name))
    ):
        state = str(task.state or "PENDING")
        words = task.error.message if task.error and task.error.message else ""
        tasks.append((str(task.display_name), state, words))
    return tasks

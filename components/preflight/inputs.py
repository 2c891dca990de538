"""Check everything that a turn of the flywheel is given, and report all problems at once."""

import glob
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

from flywheel.components.contracts.dataset import EvaluationItem
from flywheel.components.contracts.rollout import UserQuestion
from flywheel.components.preflight.log_files import log_content_problems
from flywheel.components.preflight.model_folder import model_folder_problems

MOST_PROBLEMS = 5  # of one file; the rest is counted


class InputError(ValueError):
    """Inputs that no run can work on; the message lists every problem and what to do."""


def check(
    logs: str,
    production_model: str,
    store: str,
    replay_data: str = "",
    golden: str = "",
    traffic: str = "",
    log_format: str = "auto",
) -> list[str]:
    """Check the inputs of a turn; object-store URIs are left to the steps that read them.

    Args:
        logs: File, folder, glob or URI of feedback logs.
        production_model: Model folder; "" when the registry knows it.
        store: URI of the feedback store.
        replay_data: JSON lines of original training data, or "".
        golden: JSON lines of `EvaluationItem`, or "".
        traffic: JSON lines of `UserQuestion`, or "".
        log_format: Name of the logs' format, or auto.

    Returns:
        Notes for the log: what was not given and what that means.

    Raises:
        InputError: With every problem found.
    """
    problems = [f"logs: {line}" for line in _log_problems(logs, log_format)]
    if production_model and "://" not in production_model:
        problems += [f"model {production_model}: {line}" for line in model_folder_problems(production_model)]
    problems += [f"store {store}: {line}" for line in _store_problems(store)]
    problems += _line_problems("replay data", replay_data, _replay_row)
    problems += _line_problems("golden", golden, EvaluationItem.model_validate)
    problems += _line_problems("traffic", traffic, UserQuestion.model_validate)
    if problems:
        raise InputError("the inputs cannot be used:\n" + "\n".join(f"  - {line}" for line in problems))
    notes = []
    if not golden:
        notes.append("no golden items: answers that users rated up are held out as the regression guard")
    if not replay_data:
        notes.append("no replay data: the model trains on corrections only and may forget")
    if not traffic:
        notes.append("no traffic file: the users of the log ask again in the canary")
    return notes


def _log_problems(logs: str, log_format: str) -> list[str]:
    if not logs:
        return ["none given; give a file, folder or glob"]
    if "://" in logs:
        return []
    path = Path(logs)
    files = (
        [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [Path(one) for one in glob.glob(logs)]
    )
    if path.is_file():
        files = [path]
    if not files:
        return [f"no file at {logs}; check the path or the pattern"]
    unreadable = [f"{one} cannot be read; check its permissions" for one in files if not os.access(one, os.R_OK)]
    return unreadable or log_content_problems(logs, log_format)


def _store_problems(store: str) -> list[str]:
    if not store:
        return ["none given; give a folder or an object-store URI"]
    if "://" in store:
        return []
    path = Path(store)
    while not path.exists():
        path = path.parent
    if not path.is_dir():
        return [f"{path} is a file; give a folder"]
    if not os.access(path, os.W_OK):
        return [f"{path} cannot be written; check its permissions"]
    return []


def _replay_row(row: object) -> None:
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")
    if not (row.get("messages") and isinstance(row.get("response"), str)) and not (
        row.get("prompt") and row.get("completion")
    ):
        raise ValueError('needs "messages" and "response", or "prompt" and "completion"')


def _line_problems(what: str, address: str, parse: Callable[[object], object]) -> list[str]:
    if not address or "://" in address:
        return []
    path = Path(address)
    if not path.is_file():
        return [f"{what}: no file at {address}"]
    problems: list[str] = []
    lines = 0
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            lines += 1
            try:
                parse(json.loads(line))
            except ValueError as error:
                problems.append(f"{what}: {address}:{number}: {_short(error)}")
    if not lines:
        return [f"{what}: {address} is empty; leave it out or give JSON lines"]
    if len(problems) > MOST_PROBLEMS:
        problems = [*problems[:MOST_PROBLEMS], f"{what}: {address}: {len(problems) - MOST_PROBLEMS} more such lines"]
    return problems


def _short(error: ValueError) -> str:
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, one['loc'])) or 'row'}: {one['msg']}" for one in error.errors()[:3])
    return str(error)

"""Compute the figures of a run and write page and summary, each whole or not at all."""

import os
import tempfile
from pathlib import Path

from flywheel.components.report.outcome import Outcome


def publish(
    store: str, registry: str, model_name: str, run_id: str, report: str, summary: str, destination: str = ""
) -> Outcome:
    """Write the report of a run.

    Args:
        store: Feedback store.
        registry: Registry URI.
        model_name: Name of the model in the registry.
        run_id: Run.
        report: Path of the page.
        summary: Path of the Markdown summary.
        destination: Second path of the page; empty: none.

    Returns:
        How the run ended.

    Raises:
        StoreError: The store cannot be read.
        ValueError: There is no run id, or the destination is not a path on this machine.
    """
    from flywheel.components.report.figures import figures
    from flywheel.components.report.page import render
    from flywheel.components.report.summary import markdown

    if not run_id.strip():
        raise ValueError("no run to report on: give run_id or job_id")
    if "://" in destination:
        raise ValueError(f"the report goes to a file on this machine, not to {destination}; leave `destination` empty")
    found = figures(store, registry, model_name, run_id)
    page = render(found)
    for path, text in ((report, page), (summary, markdown(found)), (destination, page)):
        if path:
            _write(path, text)
    return Outcome(**found["outcome"])


def _write(path: str, text: str) -> None:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(temporary, 0o644)  # mkstemp makes files that only their owner can read
    Path(temporary).replace(target)

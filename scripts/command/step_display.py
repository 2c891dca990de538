"""Show the steps of a run while it happens: a line for each finished step, the current one's words below."""

import re
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status
from rich.text import Text

from flywheel.components.contracts.lineage import RowCounts, StepRecord
from flywheel.scripts.command.step_log import StepEvent


class StepDisplay:
    """Follows step events; on a terminal the running step's last words are shown live."""

    def __init__(self, console: Console, store: str, run_id: str) -> None:
        """Prepare.

        Args:
            console: Where to write.
            store: Feedback store, for the counts of each finished step.
            run_id: The run.
        """
        self._console, self._store, self._run_id = console, store, run_id
        self._status: Status | None = None
        self._began: dict[str, float] = {}
        self.failure: tuple[str, str] | None = None  # first failed step, its message

    def __enter__(self) -> Self:
        """Start the live line."""
        self._status = self._console.status("starting").__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the live line."""
        if self._status is not None:
            self._status.__exit__(kind, error, traceback)

    def follow(self, event: StepEvent) -> None:
        """Take one event."""
        if event.kind == "started":
            self._began[event.step] = time.monotonic()
            self._live(event.step)
        elif event.kind == "said":
            self._live(f"{event.step}: {event.text}")
        elif event.step != "importer":
            self._line(event)

    def _live(self, text: str) -> None:
        if self._status is not None:
            self._status.update(Text(text[: self._console.width - 4], style="dim"))

    def _line(self, event: StepEvent) -> None:
        seconds = time.monotonic() - self._began.get(event.step, time.monotonic())
        name = component_name(event.step)
        line = Text.assemble(
            ("  ✓ ", "green") if event.kind == "finished" else ("  ✗ ", "bold red"),
            (f"{name:<24}", "bold"),
            (f"{seconds:6.1f} s  ", "dim"),
        )
        if event.kind == "failed":
            line.append(event.text or "failed", style="red")
            self.failure = self.failure or (name, event.text)
        else:
            line.append(self._what(name))
        self._console.print(line, soft_wrap=True)

    def _what(self, name: str) -> str:
        from flywheel.components.store import lineage

        records = [record for record in lineage.steps(self._store, self._run_id) if record.step == name]
        return describe(records[-1]) if records else ""


def component_name(task: str) -> str:
    """Name of the component behind a task name: KFP writes dashes and numbers repeated tasks."""
    return re.sub(r"-\d+$", "", task).replace("-", "_")


def describe(record: StepRecord) -> str:
    """Say in one line what a step did."""
    words = [record.outcome] if record.outcome else []
    if record.rows is not None:
        words.append(describe_rows(record.rows))
    return " · ".join(words)


def describe_rows(rows: RowCounts) -> str:
    """Say the border's counts, leaving out what is zero."""
    parts = [f"{rows.accepted:,} accepted"]
    if rows.duplicates:
        parts.append(f"{rows.duplicates:,} duplicates")
    if rows.in_review:
        parts.append(f"{rows.in_review:,} to review")
    if total := sum(rows.quarantined.values()):
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(rows.quarantined.items()))
        parts.append(f"{total:,} set aside ({reasons})")
    return f"{rows.rows_in:,} in = " + " + ".join(parts)

"""Read the log of KFP's local runner as events: a step began, said something, ended."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

ANSI = re.compile(r"\x1b\[[0-9;]*m")
STARTED = re.compile(r"INFO - Executing task '([^']+)'")
FINISHED = re.compile(r"Task '([^']+)' finished with status (\w+)")
# what the executor itself prints around a step's own words
EXECUTOR = re.compile(r"^\[KFP Executor |^[{}\[\]\"]|^\d\d:\d\d:\d\d\.\d+ - |^-+$|^Output\b")
EXCEPTION = re.compile(
    r"^(?:[A-Za-z_][\w.]*\.)?[A-Z]\w*(?:Error|Exception|Failed|Refused|Interrupt|Exit|Held|Busy)?: ?"
)
TRACEBACK = "Traceback (most recent call last):"


@dataclass(frozen=True)
class StepEvent:
    """One thing that happened to a step."""

    kind: Literal["started", "said", "finished", "failed"]
    step: str
    text: str = ""


def events(lines: Iterable[str]) -> Iterator[StepEvent]:
    """Turn log lines into events.

    Args:
        lines: Lines of the runner's log, with or without colours.

    Yields:
        Events in order; a failed step's text is the message of its exception, without the traceback.
    """
    step = ""
    traceback: list[str] | None = None
    for raw in lines:
        line = ANSI.sub("", raw.rstrip("\n"))
        text = line.strip()
        if found := STARTED.search(line):
            step, traceback = found[1], None
            yield StepEvent("started", step)
        elif found := FINISHED.search(line):
            if found[2] == "SUCCESS":
                yield StepEvent("finished", found[1])
            else:
                yield StepEvent("failed", found[1], error_message(traceback or []))
            traceback = None
        elif text == TRACEBACK:
            traceback = []
        elif traceback is not None:
            traceback.append(line)
        elif step and text and not EXECUTOR.match(text):
            yield StepEvent("said", step, text)


def error_message(traceback: list[str]) -> str:
    """Take the message out of a traceback: the last exception's words, all its lines.

    Args:
        traceback: Lines after `Traceback (most recent call last):`, indented by the runner.

    Returns:
        The message, or "" when there is no exception line.
    """
    lines = [line.removeprefix("    ") for line in traceback]
    for index in range(len(lines) - 1, -1, -1):
        if found := EXCEPTION.match(lines[index]):
            message = [lines[index][found.end() :]]
            for line in lines[index + 1 :]:
                if EXECUTOR.match(line):
                    break
                message.append(line)
            return "\n".join(message).strip()
    return ""

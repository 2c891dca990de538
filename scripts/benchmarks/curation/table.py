"""The stage's table and the file that keeps them."""

import os
import platform
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from flywheel.scripts.benchmarks.curation.frame import OURS, Goal, Results, Stage
from flywheel.scripts.benchmarks.decision_worlds.claims import markdown

DOCS = Path(__file__).parents[3] / "components" / "curation" / "BENCHMARK.md"

PREFACE = """# Speed and quality of curation

Made by `scripts/bench curation`; do not edit. Every peer runs in a venv of its own, every measurement in a process of
its own, the peers in turn, round after round; figures are medians. *CPU s* is user and system time of the work, with
children, without starting Python and importing libraries; *process CPU s* has those too. *peak MiB* is the largest
resident set of one process. Speeds are compared as MB of input per CPU second.
"""


def section(stage: Stage, results: Results, missing: Mapping[str, str], rounds: int) -> str:
    """A stage's table, its goals and what could not be measured, in Markdown.

    Args:
        stage: Stage.
        results: Measured peers by name.
        missing: Why a peer is missing, by name.
        rounds: Rounds measured.
    """
    keys = list(dict.fromkeys(key for one in results.values() for key in one.quality))
    ours = results.get(OURS)
    head = ["", "rows", "MB", "CPU s", "process CPU s", "wall s", "peak MiB", "MB / CPU s", "ours is faster", *keys]
    rows = []
    for name, one in results.items():
        against = f"{ours.speed / one.speed:.1f}x" if ours and name != OURS else "–"
        figures = [f"{one.quality[key]:.4f}" if key in one.quality else "–" for key in keys]
        timed = [f"{value:.2f}" for value in (one.cpu, one.process_cpu, one.wall)]
        speed = f"{one.speed:.1f}" if one.speed < 100 else f"{one.speed:.0f}"
        rows.append(
            [name, f"{one.rows:,}", f"{one.megabytes:.0f}", *timed, f"{one.peak:.0f}", speed, against, *figures]
        )
    parts = [_wrapped(stage.about)] if stage.about else []
    parts.append(markdown(head, rows))
    parts.extend(f"*{name}* is missing: {why}." for name, why in missing.items())
    if stage.goals:
        parts.append(markdown(["goal", "measured", "limit", ""], [_goal(goal, results) for goal in stage.goals]))
    versions = {name: version for one in results.values() for name, version in one.versions.items()}
    named = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    parts.append(_wrapped(f"{_machine()}; {rounds} round{'s' * (rounds > 1)}{'; ' * bool(named)}{named}."))
    return "\n\n".join(parts)


def write(path: Path, titles: Sequence[str], title: str, text: str) -> None:
    """Put one section into the file, in its place; the other sections stay as they are.

    Args:
        path: Markdown file; made when it is not there.
        titles: All headings, in order.
        title: Heading of the section.
        text: The section.
    """
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    sections = dict(part.split("\n\n", 1) for part in old.split("\n## ")[1:])
    sections[title] = text
    parts = [PREFACE, *(f"## {one}\n\n{sections[one].strip()}\n" for one in titles if one in sections)]
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text("\n".join(parts), encoding="utf-8")
    temporary.replace(path)


def _goal(goal: Goal, results: Results) -> list[str]:
    value, met = goal.figure(results), goal.met(results)
    sign = "≥" if goal.at_least else "≤"
    least = f" (at least {goal.least:g}{goal.unit})" if goal.least is not None else ""
    word = {True: "met", False: "**MISSED**", None: "not measured"}[met]
    digits = ".1f" if goal.unit == "x" else ".4f"
    return [
        goal.claim,
        "–" if value is None else f"{value:{digits}}{goal.unit}",
        f"{sign} {goal.limit:g}{goal.unit}{least}",
        word,
    ]


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 118, break_long_words=False, break_on_hyphens=False)


def _machine() -> str:
    return f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}"

"""The clusters as a Markdown page for people."""

from collections.abc import Mapping, Sequence
from typing import Any


def render(clusters: Sequence[Mapping[str, Any]], error_types: Mapping[str, int]) -> str:
    """Render clusters and error types as tables; user text is escaped.

    Args:
        clusters: Clusters as in the step's record, the largest first.
        error_types: Failures by error type.
    """
    if not clusters:
        return "# Clusters of feedback\n\nNo failed interaction in this log.\n"
    total = max(1, sum(error_types.values()))
    lines = ["# Clusters of feedback", "", "| error type | failures | share |", "|---|---:|---:|"]
    lines += [f"| {name} | {count} | {count / total:.0%} |" for name, count in error_types.items()]
    lines += ["", "| cluster | about | failures | mostly | up-voted | examples |", "|---|---|---:|---|---:|---|"]
    for found in clusters:
        examples = "<br>".join(_cell(example) for example in found["examples"])
        lines.append(
            f"| {found['id']} | {_cell(found['name'])} | {found['count']} | {found['category']} | "
            f"{found['successes']} | {examples} |"
        )
    return "\n".join(lines) + "\n"


def _cell(text: str, width: int = 160) -> str:
    short = " ".join(text.split())
    short = short if len(short) <= width else short[: width - 1] + "…"
    for character in "\\`*_[]<>|#":
        short = short.replace(character, {"<": "&lt;", ">": "&gt;"}.get(character, "\\" + character))
    return short

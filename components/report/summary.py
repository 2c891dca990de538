"""The report in short: Markdown for the pipeline's page, rows for the terminal."""

from collections.abc import Mapping
from typing import Any

from flywheel.components.report.key_figures import key_figures, percent

_TITLES = {"promoted": "Promoted", "rolled back": "Rolled back", "held": "Held", "failed": "Failed"}


def markdown(figures: Mapping[str, Any]) -> str:
    """Render the summary as Markdown.

    Args:
        figures: What `figures.figures` returned.

    Returns:
        Headline, key figures and the counts at each border.
    """
    outcome = figures["outcome"]
    lines = [f"# {_TITLES[outcome['decision']]}", "", f"{_plain(outcome['reason'])}.", ""]
    lines += [f"Run `{_plain(figures['run_id'])}` of model `{_plain(figures['model'])}`.", ""]
    chosen = key_figures(figures)
    if chosen:
        lines += ["| figure | value | |", "|---|---:|---|"]
        lines += [f"| {_plain(one.label)} | {_plain(one.value)} | {_plain(one.note)} |" for one in chosen]
        lines.append("")
    if figures["borders"]:
        lines += ["| step | in | accepted | duplicates | review | set aside |", "|---|---:|---:|---:|---:|---|"]
        lines += [_border(line) for line in figures["borders"]]
        lines += ["", "In every row: in = accepted + duplicates + review + set aside.", ""]
    return "\n".join(lines)


def terminal(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Render the summary as rows of label and value for the command line.

    Args:
        figures: What `figures.figures` returned.
    """
    rows = [(one.label, f"{one.value}  ({one.note})" if one.note else one.value) for one in key_figures(figures)]
    arms = figures["satisfaction"]["canary"]
    rated = [f"{arm} {percent(arms[arm]['share'])} of {arms[arm]['rated']:,}" for arm in arms if arms[arm]["rated"]]
    if rated:
        rows.append(("Thumbs up on the canary", ", ".join(rated)))
    drift = figures["drift"]
    if drift is not None:
        first = next(iter(drift["reasons"] or []), "")
        rows.append(
            ("Drift", f"{drift['outcome']}: {first.partition(': ')[2] or first}" if first else drift["outcome"])
        )
    return rows


def _border(line: Mapping[str, Any]) -> str:
    reasons = ", ".join(f"{count:,} {_plain(reason)}" for reason, count in line["quarantined"].items())
    counts = " | ".join(f"{line[name]:,}" for name in ("rows_in", "accepted", "duplicates", "in_review"))
    return f"| {_plain(line['step'])} | {counts} | {reasons or 0} |"


def _plain(text: Any) -> str:
    """Take the meaning out of Markdown's and HTML's special characters."""
    kept = str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{letter}" if letter in "\\`*_[]|" else letter for letter in kept).replace("\n", " ")

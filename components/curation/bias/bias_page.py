"""The bias check as a Markdown page for people, and as JSON values for the record."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flywheel.components.curation.bias.acceptance import LEAST_ROWS, LEAST_USERS, GroupRate
from flywheel.components.curation.bias.rate_difference import Rate
from flywheel.components.curation.bias.slice_search import describe

if TYPE_CHECKING:
    from flywheel.components.curation.bias.check import BiasReport

_SHOWN = 12  # groups of a column; the rest are counted


def render(found: "BiasReport") -> str:
    """Render the page; user text is escaped."""
    verdict = {
        "ok": f"**ok**: no group or slice is shown to differ by more than {found.tolerance:.0%}.",
        "look": f"**look**: a group or slice differs by more than {found.tolerance:.0%}; marked below.",
    }[found.verdict]
    lines = [
        "# Bias check",
        "",
        verdict,
        "",
        f"When nothing differs by more than {found.tolerance:.0%}, `look` is said in at most {found.alpha:.0%} of runs "
        "(Holm within each of three families). Users are the unit of all intervals (95 %). `ok` is no proof of "
        f"equality: groups with fewer than {LEAST_USERS} users or {LEAST_ROWS} rows are shown, not tested. Nothing is "
        "blocked.",
        "",
        "## Accepted by group",
        "",
        "Of the corrections that were not discarded: the share accepted without a person.",
        "",
        *_table(found.accepted),
        "",
        "## Discarded by group",
        "",
        *_table(found.discarded),
        "",
        "## Slices",
        "",
    ]
    if found.slices:
        lines += ["| slice | held back | elsewhere | difference | p |", "|---|---:|---:|---:|---:|"]
        lines += [
            f"| {_cell(describe(one.conditions))} | {_rate(one.rate)} | {_rate(one.rest)} | "
            f"{one.difference.difference:+.1%} | {one.adjusted_p:.2g} |"
            for one in found.slices
        ]
    else:
        lines.append(f"None of {found.slices_tested} candidate slices is shown to be held back more often.")
    if found.shares:
        lines += ["", "## Who is represented", "", "| by | group | of all interactions | of accepted corrections |",
                  "|---|---|---:|---:|"]  # fmt: skip
        for share in found.shares:
            accepted = _rate(share.of_accepted) if share.of_accepted else "–"
            lines.append(
                f"| {_cell(share.column)} | {_cell(share.group)} | {_rate(share.of_interactions)} | {accepted} |"
            )
    return "\n".join(lines) + "\n"


def details(found: "BiasReport") -> dict[str, Any]:
    """JSON values for the step's record."""
    return {
        "verdict": found.verdict,
        "alpha": found.alpha,
        "tolerance": found.tolerance,
        "accepted": [_group(group) for group in found.accepted],
        "discarded": [_group(group) for group in found.discarded],
        "slices": [
            {
                "slice": describe(one.conditions),
                "held_back": one.rate.rate,
                "elsewhere": one.rest.rate,
                "rows": one.rate.rows,
                "users": one.rate.users,
                "p": one.adjusted_p,
            }
            for one in found.slices
        ],
        "represented": [
            {
                "column": share.column,
                "group": share.group,
                "of_interactions": share.of_interactions.rate,
                "of_accepted": share.of_accepted.rate if share.of_accepted else None,
            }
            for share in found.shares
        ],
        "error_rate": f"a false `look` in at most {found.alpha:.0%} of runs",
    }


def _table(groups: Sequence[GroupRate]) -> list[str]:
    lines = [
        "| by | group | users | rows | rate | difference to the rest | p | |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for column in dict.fromkeys(group.column for group in groups):
        mine = [group for group in groups if group.column == column]
        shown = [group for place, group in enumerate(mine) if place < _SHOWN or group.differs]
        for group in shown:
            if group.difference is not None:
                limits = group.difference.interval
                gap = f"{group.difference.difference:+.1%} ({limits.lower:+.1%} to {limits.upper:+.1%})"
            else:
                gap = "too few to test" if group.rest is not None and len(mine) != 2 else "–"
            p = f"{group.adjusted_p:.2g}" if group.adjusted_p is not None else ""
            lines.append(
                f"| {_cell(column)} | {_cell(group.group)} | {group.rate.users} | {group.rate.rows} | "
                f"{_rate(group.rate)} | {gap} | {p} | {'**look**' if group.differs else ''} |"
            )
        if len(mine) > len(shown):
            lines.append(f"| {_cell(column)} | {len(mine) - len(shown)} smaller groups | | | | | | |")
    return lines


def _group(group: GroupRate) -> dict[str, Any]:
    return {
        "column": group.column,
        "group": group.group,
        "rate": group.rate.rate,
        "rows": group.rate.rows,
        "users": group.rate.users,
        "difference": group.difference.difference if group.difference else None,
        "interval": [group.difference.interval.lower, group.difference.interval.upper] if group.difference else None,
        "p": group.adjusted_p,
        "differs": group.differs,
    }


def _rate(rate: Rate) -> str:
    limits = rate.interval()
    return f"{rate.rate:.1%} ({limits.lower:.1%} to {limits.upper:.1%})"


def _cell(text: str, width: int = 80) -> str:
    short = " ".join(text.split())
    short = short if len(short) <= width else short[: width - 1] + "…"
    for character in "\\`*_[]<>|#":
        short = short.replace(character, {"<": "&lt;", ">": "&gt;"}.get(character, "\\" + character))
    return short

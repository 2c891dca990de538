"""Error rates and power of every decision, in worlds whose truth is known; writes the table into the docs."""

import argparse
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from flywheel.scripts.benchmarks.decision_worlds import (
    canary_rows,
    gauntlet_rows,
    judge_rows,
    large_verdict,
    rule_tables,
)
from flywheel.scripts.benchmarks.decision_worlds.claims import HEAD, Row, markdown

FEWEST = 2000
DOCS = Path(__file__).parents[2] / "components" / "evaluation" / "ERROR_RATES.md"

CLAIMS: dict[str, tuple[str, Callable[[int], Iterable[Row]]]] = {
    "margins": ("The gauntlet: a guardrail at its margin", gauntlet_rows.margins),
    "probes": ("The gauntlet: attacks, probes, judge, tail and cost at their margins", gauntlet_rows.probes),
    "equals": ("The gauntlet: equal, harmful and better candidates", gauntlet_rows.equals),
    "power": ("The gauntlet: power at the items it asks for", gauntlet_rows.power),
    "savings": ("The gauntlet: items saved by pairing", gauntlet_rows.savings),
    "canary": ("The canary's judge", canary_rows.rows),
    "judge": ("A biased LLM judge", judge_rows.rows),
    "large": ("Time and memory of a verdict", lambda _: large_verdict.rows()),
}
TABLES: dict[str, tuple[str, tuple[str, ...], Callable[[int], Iterable[list[str]]]]] = {
    "gauntlet-rules": (
        "The same gauntlet worlds through common rules: share of the worlds shipped",
        rule_tables.GAUNTLET_HEAD,
        rule_tables.gauntlet,
    ),
    "canary-rules": (
        "The same canary worlds through common rules: 100 looks, ten metrics, equal arms",
        rule_tables.CANARY_HEAD,
        rule_tables.canary,
    ),
    "stream-rules": (
        "The same turns, minute by minute: one hour, ten metrics, 120 users an arm",
        rule_tables.STREAM_HEAD,
        rule_tables.streams,
    ),
}
TITLES: dict[str, str] = {name: claim[0] for name, claim in CLAIMS.items()} | {
    name: table[0] for name, table in TABLES.items()
}

PREFACE = """# Error rates of the decisions

Made by `scripts/bench decisions`; do not edit. Every figure is a share of simulated worlds whose truth is known, with
its Monte-Carlo standard error; seeds are fixed. *met* allows two standard errors. The decisions are those of the code
that runs in production: `evaluation.verdict.decide` on score tables, the limits and alphas of `deployment.judge.Judge`
at every look, and the functions of `statistics`. tests/simulation asserts the same claims on fewer worlds.
"""


def main(arguments: list[str]) -> int:
    """Measure the claims, print the tables, write them into the docs.

    Args:
        arguments: `--worlds N`, `--only NAME` (repeatable), `--output PATH`.

    Returns:
        0 when every goal is met, else 1.
    """
    parser = argparse.ArgumentParser(prog="scripts/bench decisions", description=__doc__)
    parser.add_argument("--worlds", type=int, default=FEWEST, help=f"worlds a row (default {FEWEST})")
    parser.add_argument("--only", action="append", choices=[*CLAIMS, *TABLES], help="measure this part; repeatable")
    parser.add_argument("--output", type=Path, help=f"Markdown file; default with {FEWEST} worlds or more: the docs")
    options = parser.parse_args(arguments)
    if options.worlds < 10:
        parser.error("--worlds must be at least 10")
    output = options.output or (DOCS if options.worlds >= FEWEST else None)
    began, missed = time.process_time(), 0
    for name in options.only or TITLES:
        if name in CLAIMS:
            rows = list(CLAIMS[name][1](options.worlds))
            missed += sum(row.met is False for row in rows)
            table = markdown(HEAD, [row.cells() for row in rows])
        else:
            _, head, compare = TABLES[name]
            table = markdown(head, list(compare(options.worlds)))
        print(f"\n{TITLES[name]} ({time.process_time() - began:.0f} CPU s so far)\n\n{table}", flush=True)
        if output:
            write(output, TITLES[name], table)
    print(f"\nwritten: {output}" if output else f"\nnot written: the docs take at least {FEWEST} worlds a row")
    print(f"goals: {'all met' if not missed else f'{missed} MISSED'}; {time.process_time() - began:.0f} CPU s")
    return 1 if missed else 0


def write(path: Path, title: str, table: str) -> None:
    """Put one section into the file, in its place; the other sections stay as they are.

    Args:
        path: Markdown file; made when it is not there.
        title: Heading of the section.
        table: The table.
    """
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    sections = dict(part.split("\n\n", 1) for part in old.split("\n## ")[1:])
    sections[title] = table
    known = [one for one in TITLES.values() if one in sections]
    parts = [PREFACE, *(f"## {one}\n\n{sections[one].strip()}\n" for one in known)]
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text("\n".join(parts), encoding="utf-8")
    temporary.replace(path)

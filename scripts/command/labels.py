"""`flywheel labels`: let people label a random part of the answers, so that a judge of helpfulness can decide."""

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Human labels that correct a judge of helpfulness.", no_args_is_help=True)

Scores = Annotated[Path, typer.Argument(help="Per-item scores of a run")]
Items = Annotated[Path, typer.Argument(help="Evaluation items of the same run (JSON lines)")]


@app.command("sheet")
def sheet(
    scores: Scores,
    items: Items,
    out: Annotated[Path, typer.Option(help="Where the sheet goes (JSON lines)")] = Path("labels.jsonl"),
    count: Annotated[int, typer.Option(help="Answers to label")] = 150,
    seed: Annotated[int, typer.Option(help="Seed of the draw")] = 7,
) -> None:
    """Draw answers at random and write a sheet; fill in `production` and `candidate` (1: helpful, 0: not)."""
    from flywheel.components.evaluation.items import read_items
    from flywheel.components.evaluation.judges.human_labels import label_sheet
    from flywheel.components.evaluation.judges.judging import SUITES, lines_of

    if out.exists():
        raise ValueError(f"{out} exists; it may hold labels already, so give another file or move it away")
    judged = [line for line in lines_of(scores) if line.suite in SUITES]
    rows = label_sheet(judged, {item.item_id: item for item in read_items(items)}, count, seed)
    out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    typer.echo(f"{out}: {len(rows)} of {len(judged)} answers; fill in production and candidate with 0 or 1")


@app.command("apply")
def apply(
    scores: Scores,
    items: Items,
    labels: Annotated[Path, typer.Argument(help="Filled label sheet, or own labels (JSON lines)")],
    out: Annotated[Path, typer.Option(help="Where the judged and labelled scores go")] = Path("judged.jsonl"),
    judge: Annotated[str, typer.Option(help="overlap, likelihood, preference or score")] = "overlap",
    url: Annotated[str, typer.Option(help="OpenAI-compatible endpoint of an LLM judge")] = "",
    model: Annotated[str, typer.Option(help="Model at the endpoint, or folder of a local one")] = "",
    key_variable: Annotated[str, typer.Option(help="NAME of the environment variable with the API key")] = "",
    spec: Annotated[str, typer.Option(help="Gauntlet; default: the packaged one")] = "",
) -> None:
    """Judge the answers, put the labels beside the judge's scores, and print the verdict on both."""
    from flywheel.components.evaluation.judges.judging import judge_scores, make_judge
    from flywheel.components.evaluation.verdict import recompute
    from flywheel.components.evaluation.verdict.summary_markdown import summary_markdown

    asked = make_judge(judge, out.with_name(f"{out.name}.replies"), url, model, key_variable)
    done = judge_scores(scores, out, items, asked, labels)
    typer.echo(f"{out}: {done.items} answers judged, {done.failures} failures, {done.labels} labelled by people\n")
    typer.echo(summary_markdown(recompute.recompute(out, spec or None)))

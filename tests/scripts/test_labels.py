"""The small world's people label answers, and the command decides on them."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flywheel.components.contracts.dataset import EvaluationItem
from flywheel.components.evaluation.items import ids_digest
from flywheel.components.evaluation.scores.score_lines import ArmScore, ScoreLine, ScoresHeader, write_scores
from flywheel.scripts.command.app import app
from flywheel.scripts.small_world import probes, service

OLD = {topic.better: topic.old for topic in service.SERVICES}


def write(folder: Path) -> tuple[Path, Path]:
    """Production says what it always said; the candidate says what people would rather read."""
    items = probes.helpfulness_items(7)

    def arm(text: str) -> ArmScore:
        return ArmScore(answer=text, correct=True, unsafe=False, tokens=9)

    lines = [
        ScoreLine(
            item_id=item.item_id,
            suite=item.suite,
            cluster=item.cluster,
            production=arm(OLD[item.references[0]]),
            candidate=arm(item.references[0]),
        )
        for item in items
    ]
    header = ScoresHeader(
        run_id="r",
        candidate_digest="c",
        production_digest="p",
        items=len(lines),
        items_digest=ids_digest([line.item_id for line in lines]),
    )
    write_scores(folder / "scores.jsonl", header, lines)
    (folder / "items.jsonl").write_text("".join(item.model_dump_json() + "\n" for item in items))
    return folder / "scores.jsonl", folder / "items.jsonl"


def test_open_questions_of_the_small_world() -> None:
    items = probes.helpfulness_items(7)
    assert items == probes.helpfulness_items(7) != probes.helpfulness_items(8)
    assert (
        len({item.item_id for item in items}) == len({item.messages[0].content for item in items}) == len(items) == 160
    )
    assert len({item.cluster for item in items}) == 40 and {item.suite for item in items} == {"helpfulness"}


def test_people_err_now_and_then() -> None:
    items = probes.helpfulness_items(7)
    sheet: list[dict[str, str | None]] = [
        {"item_id": item.item_id, "production_answer": OLD[item.references[0]], "candidate_answer": item.references[0]}
        for item in items
    ]
    sure = probes.labelled(sheet, items, 7, careless=0)
    assert all((row["production"], row["candidate"]) == (0, 1) for row in sure)
    wrong = sum(row["production"] == 1 for row in probes.labelled(sheet, items, 7))
    assert 1 <= wrong <= 20


def test_a_sheet_is_drawn_filled_and_decided_on(tmp_path: Path) -> None:
    scores, items = write(tmp_path)
    sheet, out = tmp_path / "sheet.jsonl", tmp_path / "judged.jsonl"
    drawn = CliRunner().invoke(app, ["labels", "sheet", str(scores), str(items), "--out", str(sheet), "--count", "40"])
    assert drawn.exit_code == 0 and "40 of 160 answers" in drawn.output
    rows = [json.loads(line) for line in sheet.read_text().splitlines()]
    filled = probes.labelled(rows, probes.helpfulness_items(7), 7)
    sheet.write_text("".join(json.dumps(row) + "\n" for row in filled))
    done = CliRunner().invoke(app, ["labels", "apply", str(scores), str(items), str(sheet), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "160 answers judged, 0 failures, 40 labelled by people" in done.output
    row = next(line for line in done.output.splitlines() if line.startswith("| helpfulness"))
    assert "no worse" in row and "160 (40)" in row
    with pytest.raises(ValueError, match="exists; it may hold labels already"):
        CliRunner().invoke(
            app, ["labels", "sheet", str(scores), str(items), "--out", str(sheet)], catch_exceptions=False
        )


def test_an_unfilled_sheet_is_refused(tmp_path: Path) -> None:
    scores, items = write(tmp_path)
    sheet = tmp_path / "sheet.jsonl"
    CliRunner().invoke(app, ["labels", "sheet", str(scores), str(items), "--out", str(sheet), "--count", "40"])
    with pytest.raises(ValueError, match="line 1 is no label: the label is empty"):
        CliRunner().invoke(app, ["labels", "apply", str(scores), str(items), str(sheet)], catch_exceptions=False)


def test_items_are_valid_lines_of_a_golden_file() -> None:
    for item in probes.helpfulness_items(3):
        assert EvaluationItem.model_validate_json(item.model_dump_json()) == item
